"""CUR decomposition: a matrix from some of its own columns and rows, with a core that stays accurate."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import NumericalError, UsageError
from ..factors.cur import CUR
from ..kernels.basis_rows import growth
from ..lazy import np
from ..matrices.metered import Metered
from ..matrices.tiles import scale_exactly
from ..options import check, opt
from ..streams import Streams
from .assessment import Assessor, swept
from .completion import Ordered, complete
from .cross import Cross, cross, cross_to_tolerance, interpolated
from .method import Method
from .outcome import Outcome
from .scaling import Scaled, check_rank
from .selection import by_vectors, pivoted
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True)
class CUROptions:
    """select: how columns and rows are chosen. core: what stands between them. row_rank: how many rows."""

    select: str = opt(
        "pivots",
        "How columns and rows are chosen (cur): pivots of QR; or by singular vectors: deim (pivots, with a bound), "
        "adaptive (randomized pivoting), leverage (sampled by leverage scores).",
        choices=("pivots", "deim", "adaptive", "leverage"),
    )
    core: str = opt(
        "optimal",
        "Core (cur): optimal has the least error for the columns and rows chosen, one more pass; intersection sees "
        "only these columns and rows.",
        choices=("optimal", "intersection"),
    )
    row_rank: int | None = opt(
        None,
        "Number of rows (cur), where --rank is that of columns. Default as many; with --core intersection half as "
        "many again.",
        min=1,
    )

    def __post_init__(self) -> None:
        check(self)


def run(matrix: Metered, budget: Budget, options: CUROptions, streams: Streams) -> Outcome:
    """A ~ C U R with C = A[:, cols] and R = A[rows, :] bit for bit, held as Q_C G Q_R^H; C = Q_C R_C, R^H = Q_R R_R.

    The optimal core is U = C^+ A R^+, G = Q_C^H A Q_R (Friedland and Torokhti 2007): no other has a smaller Frobenius
    error for these columns and rows, and its square is |A|^2 - |G|^2. The intersection core is U = A[rows, cols]^+,
    with G = Q_C[rows, :]^+ R_R^H, which never inverts C; where there are at least as many rows as columns its error is
    at most |Q_C[rows, :]^+|_2 times that of projecting on the columns (the mirror image otherwise). If A[rows, cols]
    has the rank of A, both give A.

    With a rank: that many columns, and rows as ``row_rank`` says; fewer when the matrix has no more independent ones.
    With a tolerance: the fewest columns, and as many rows, along the order of pivots, whose measured error meets it.
    Cost at rank k with pivots: about 8 m n k flops in 6 passes, 2 m n k in one more for the exact error; with singular
    vectors those of the SVD of rank k and 2 m n k flops in one pass for the optimal core.

    Raises UsageError (rank too large, tolerance below eps, a choice that a tolerance cannot grow), InputError (NaN,
    Inf), NumericalError (the core overflows).
    """
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    _check(budget, options, matrix.shape)
    check_tolerance(budget, matrix.dtype)
    scaled, assess = swept(matrix, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    if assess is None or target is None:
        c = budget.rank or 1
        r = _rows(c, options, min(m, n))
        if options.select == "pivots":
            choice = pivoted(scaled, c, r, streams)
        else:
            choice = by_vectors(scaled, options.select, c, r, streams)
        made = (cross if options.core == "optimal" else interpolated)(scaled.matrix, choice)
    else:
        made = cross_to_tolerance(scaled, assess, target, budget.rank, streams)
    # among the subnormal numbers the core keeps fewer digits: what is judged is what will be stored
    low = min(scaled.exponent, 0)
    made = dataclasses.replace(made, G=scale_exactly(scale_exactly(made.G, low), -low))
    gains = np.zeros(len(made.cols)) if target is None else made.gains()
    beyond = max(0.0, scaled.squares - float(np.sum(gains)))

    @functools.lru_cache(maxsize=1)  # assessed first, then handed over
    def build(k: int) -> CUR:
        return _factor(made, k, scaled.matrix, 0)

    done = complete(Ordered(build, gains, beyond), scaled, budget, target, assess)
    factor = _factor(made, done.rank, matrix, scaled.exponent) if scaled.exponent else build(done.rank)
    facts = {
        "kernels": [*made.choice.kernels, f"sweep {scaled.facts.kernel}"],
        **({} if made.growth is None else {"core_growth": made.growth}),
        **_certificate(made, scaled, budget, assess),
    }
    return Outcome(factor, done.status, done.certificate, matrix.ledger, facts)


def _check(budget: Budget, options: CUROptions, shape: tuple[int, int]) -> None:
    m, n = shape
    if options.row_rank is not None and options.row_rank > min(m, n):
        raise UsageError(f"--row-rank {options.row_rank} is too large: a {m}x{n} matrix allows at most {min(m, n)}")
    if not budget.has_tolerance:
        return
    if options.row_rank is not None:
        raise UsageError("--row-rank fixes the number of rows, a tolerance finds it", hint="give --rank instead")
    if options.select != "pivots":
        raise UsageError(
            f"--select {options.select} chooses for a rank, and cannot be grown to a tolerance",
            hint="give --rank, or leave --select out",
        )
    if options.core != "optimal":
        raise UsageError(
            "the error of --core intersection may grow with the rank, so no tolerance can be sought along it",
            hint="give --rank, or leave --core out",
        )


def _rows(c: int, options: CUROptions, most: int) -> int:
    """How many rows go with c columns."""
    if options.row_rank is not None:
        return options.row_rank
    return c if options.core == "optimal" else min(c + -(-c // 2), most)


def _factor(made: Cross, k: int, source: Metered, exponent: int) -> CUR:
    """The decomposition by the first k columns and their rows, read from source, which is scaled 2**exponent."""
    r = k + len(made.rows) - len(made.cols)
    cols, rows, G = made.cols[:k], made.rows[:r], np.ascontiguousarray(made.G[:k, :r])
    U = _open_core(made.R_C[:k, :k], G, made.R_R[:r, :r], exponent)
    with np.errstate(over="ignore"):
        G = scale_exactly(G, exponent)
    for name, core, way in (("G", G, "down"), ("U", U, "up")):
        if not np.all(np.isfinite(core)):
            raise NumericalError(f"the core {name} overflows {core.dtype}", hint=f"scale the matrix {way}")
    return CUR(cols, rows, source.cols(cols), U, source.rows(rows), G)


def _open_core(R_C: numpy.ndarray, G: numpy.ndarray, R_R: numpy.ndarray, exponent: int) -> numpy.ndarray:
    """U = R_C^+ G R_R^-H 2**-exponent, singular values below sqrt(eps) of the largest dropped.

    C U R loses about eps |A|^2 |U| to rounding, and |U| is about one over the smallest singular value kept, which is
    also about what dropping it loses: sqrt(eps) |A| balances the two. More is dropped where U would overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return scale_exactly(_inverse(R_C, exponent) @ G @ _inverse(R_R, exponent).conj().T, -exponent)


def _inverse(R: numpy.ndarray, exponent: int) -> numpy.ndarray:
    """R^+ without the singular values that would spoil U."""
    P, s, Th = np.linalg.svd(R)
    limits = np.finfo(s.dtype)
    floor = math.sqrt(float(limits.eps)) * float(s[0])
    # |U| 2**-exponent must stay well below the largest float
    floor = max(floor, math.ldexp(2.0**10, -limits.maxexp - exponent))
    kept = s > floor if s[0] > 0 else np.zeros(len(s), bool)
    return np.ascontiguousarray((Th[kept].conj().T / s[kept]) @ P[:, kept].conj().T)


def _certificate(made: Cross, scaled: Scaled, budget: Budget, assess: Assessor | None) -> dict[str, Any]:
    """The interpolation bound of a choice by singular vectors: eta_cols, eta_rows, deim_bound_relative.

    With V, U orthonormal, |A - Q_C Q_C^H A| <= eta_cols |A - A V V^H| for eta_cols = |V[cols, :]^+|_2, and the same for
    rows, in either norm (Sorensen and Embree 2016, Theorem 4.1, whose proof needs no singular vectors); the Frobenius
    errors of the two projections are at right angles, the spectral ones add.
    """
    vectors = made.choice.vectors
    if vectors is None:
        return {}
    c, r = len(made.cols), len(made.rows)
    eta_cols, eta_rows = growth(vectors.V[:, :c], made.cols), growth(vectors.U[:, :r], made.rows)
    spectral = budget.norm == "spectral"
    by_cols, by_rows = eta_cols * vectors.outside(c, spectral), eta_rows * vectors.outside(r, spectral)
    if made.growth is not None:
        bound = made.growth * (by_cols if r >= c else by_rows)
    else:
        bound = by_cols + by_rows if spectral else math.hypot(by_cols, by_rows)
    norm = assess.norm if assess is not None else None if spectral else math.sqrt(scaled.squares)
    relative = None if not norm or not math.isfinite(bound) else bound / norm
    return {"eta_cols": eta_cols, "eta_rows": eta_rows, "deim_bound_relative": relative}


METHOD = Method(
    name="cur",
    options=CUROptions,
    run=run,
    identity="A ~ C U R, C = A[:, cols], R = A[rows, :]",
    cost="10 m n k flops in 7 passes, the exact error among them; --select by singular vectors: an SVD and a pass",
    reference="Friedland and Torokhti 2007; Sorensen and Embree 2016; Cortinovis and Kressner 2024",
    guarantee="no core does better for its columns and rows; with --select deim a proven bound beside the error",
    choose="which columns and rows matter together; factors in the units of the data, sparse where it is",
)
