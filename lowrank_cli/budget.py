"""Budget: what 'good enough' means for one approximation, the same for every method."""

from __future__ import annotations

import dataclasses

from .errors import UsageError
from .options import check, opt, real, whole

#: Relative Frobenius tolerance when neither a rank nor a tolerance is asked for.
DEFAULT_RTOL = 0.01


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limits on an approximation; the computation completes when any of them is met.

    rank: number of stored columns (cr: sampled pairs; kron: terms; vq: codewords). rtol, atol: error in ``norm``,
    relative to the norm of the matrix or absolute. certify: how the reported error is obtained; "exact" measures it
    against the matrix in one pass, "probes" bounds it from Gaussian probes, "none" measures nothing and reports no
    error; None: "exact", or "probes" where the matrix is read once. failure_probability: how often a bound may be
    wrong. passes: complete reads of the matrix at most; None: as often as it takes.
    """

    rank: int | None = opt(
        None,
        "Rank of the approximation (product, cr: number of sampled pairs; kron: terms; vq: codewords).",
        min=1,
        panel="Accuracy",
        flags=("-k",),
    )
    rtol: float | None = opt(
        None,
        "Largest relative error; the smallest rank that meets it is returned. "
        f"Default {DEFAULT_RTOL} when neither rank nor tolerance is given.",
        above=0.0,
        panel="Accuracy",
        flags=("--tol",),
    )
    atol: float | None = opt(None, "Largest absolute error.", above=0.0, panel="Accuracy")
    norm: str = opt("fro", "Norm of the tolerance and of the report.", choices=("fro", "spectral"), panel="Accuracy")
    certify: str | None = opt(
        None,
        "How the error is obtained: measured against the matrix (spectral norm of a large one: a two-sided bound), "
        "bounded by stored Gaussian probes with no further pass, or not at all.  [default: exact; probes where the "
        "matrix is seen once]",
        choices=("exact", "probes", "none"),
        panel="Accuracy",
    )
    failure_probability: float = opt(1e-6, "How often a bound may be wrong.", above=0.0, max=0.1, panel="Accuracy")
    passes: int | None = opt(
        None,
        "Read the matrix at most so many times (svd, qb, lora): the best result there is in them, its error as exact "
        "as they allow; 1 is --single-pass.",
        min=1,
        max=1000,
        panel="Accuracy",
    )

    def __post_init__(self) -> None:
        if self.rank is not None:
            object.__setattr__(self, "rank", whole(self.rank, "rank"))
        if self.passes is not None:
            object.__setattr__(self, "passes", whole(self.passes, "passes"))
        for name in ("rtol", "atol", "failure_probability"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, real(getattr(self, name), name))
        check(self)
        if self.certify == "none" and (self.rank is None or self.has_tolerance):
            raise UsageError(
                "a tolerance is a promise about a measured error, which --certify none leaves out",
                hint="give a rank with -k, or drop --certify none",
            )
        if self.rtol is not None and self.rtol >= 1:
            raise UsageError(
                f"--rtol must be below 1, not {self.rtol}", hint="an error of 1 is what the zero matrix gives"
            )

    @property
    def has_tolerance(self) -> bool:
        return self.rtol is not None or self.atol is not None

    def settled(self) -> Budget:
        """The budget with its way of knowing the error filled in.

        Raises UsageError for what one pass cannot give: an exact error, or a rank that follows from a tolerance.
        """
        if self.passes != 1:
            return self if self.certify else dataclasses.replace(self, certify="exact")
        if self.certify == "exact":
            raise UsageError(
                "an exact error takes a second pass, and the matrix is seen once",
                hint="leave --certify out for a bound from probes, or keep a stream with --spool DIR",
            )
        if self.rank is None:
            raise UsageError(
                "a matrix that is seen once needs --rank: what to keep of it is decided before it comes",
                hint="such as --rank 20; a tolerance may stand beside it. --spool DIR keeps a stream instead",
            )
        return self if self.certify else dataclasses.replace(self, certify="probes")

    def with_defaults(self) -> Budget:
        """The budget with the default tolerance filled in when nothing was asked for."""
        if self.rank is None and not self.has_tolerance:
            return dataclasses.replace(self, rtol=DEFAULT_RTOL)
        return self
