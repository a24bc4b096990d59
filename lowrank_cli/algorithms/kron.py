"""Sums of Kronecker products: the SVD of a rearranged matrix."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ..budget import Budget
from ..errors import UsageError
from ..factors.kron import KroneckerSum
from ..lazy import np
from ..matrices.metered import Metered
from ..options import check, opt
from ..streams import Streams
from . import svd
from .assessment import swept
from .completion import Ordered, complete
from .method import Method
from .outcome import Outcome
from .rearrangement import Cut, as_matrix, given, search
from .scaling import restored
from .tolerance import check_tolerance, target_square


@dataclasses.dataclass(frozen=True)
class KronOptions:
    """shape: of B; that of C follows."""

    shape: str | None = opt(
        None, "Rows x columns of the left factor B (kron), such as 16x8. Default: the best of all that divide A."
    )

    def __post_init__(self) -> None:
        check(self)


def run(matrix: Metered, budget: Budget, options: KronOptions, streams: Streams) -> Outcome:
    """A ~ sum_i s_i B_i (x) C_i: the best sum of r Kronecker products of that shape, in the Frobenius norm.

    |A - sum|_F^2 is the tail of the squared singular values of the rearranged matrix R(A) (Van Loan and Pitsianis
    1993), whose SVD is that of ``svd``: LAPACK when small, else block Krylov. Of a symmetric, non-negative or positive
    semidefinite A the term of r = 1 is the same. With a tolerance: the fewest terms whose measured error meets it.
    Without a shape, those of ``rearrangement.search`` are tried first. Cost: that of ``svd``, one pass for the copy and
    one for the exact error; a search reads A once and costs 4 m n (r + 8) flops for each shape tried.

    Raises UsageError (no such shape, more terms than it has), InputError (NaN, Inf), ResourceError.
    """
    cut = None if options.shape is None else given(options.shape, matrix.shape)
    if cut is not None and budget.rank is not None and budget.rank > cut.most:
        words = f"{cut.m1}x{cut.n1} (x) {cut.m2}x{cut.n2}"
        raise UsageError(f"--rank {budget.rank} is too large: {words} has at most {cut.most} independent terms")
    check_tolerance(budget, matrix.dtype)
    scaled, assess = swept(matrix, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    facts: dict[str, Any] = {}
    if cut is None:
        found = search(scaled, budget.rank, target, streams)
        cut, facts["search"] = found.ranked[0][1], found.words()
    R = as_matrix(scaled, cut)
    asked = Budget(rank=budget.rank or cut.most, certify="none")
    if assess is not None and target is not None and target > 0:
        limits = np.finfo(np.float64)
        # rounding differs between R(A) and A: whoever asks for a little more meets the tolerance on both
        reach = (1 - 1e-9) * math.sqrt(target * assess.margin)
        asked = Budget(rank=budget.rank, atol=min(max(reach, float(limits.tiny)), float(limits.max)))
    made = svd.run(R, asked, svd.SVDOptions(), streams.within("kron"))
    terms: Any = made.factor
    pieces = Ordered(lambda k: _factor(terms, k, cut), np.square(terms.s.astype(np.float64)), _beyond(made))
    done = complete(pieces, scaled, budget, target, assess)
    factor = restored(_factor(terms, done.rank, cut), scaled.exponent)
    facts |= {
        "kernels": [*made.facts["kernels"], f"sweep {scaled.facts.kernel}"],
        "factor_shapes": cut.words(),
    }
    return Outcome(factor, done.status, done.certificate, matrix.ledger, facts)


def _beyond(made: Outcome) -> float:
    return (made.certificate.absolute or 0.0) ** 2


def _factor(terms: Any, k: int, cut: Cut) -> KroneckerSum:
    """The first k singular triplets of R(A), folded; signs by rule."""
    B = np.ascontiguousarray(terms.U.T[:k])
    lead = B[np.arange(k), np.argmax(np.abs(B), axis=1)]
    size = np.abs(lead)
    phase = np.where(size > 0, lead / np.where(size > 0, size, 1), 1).astype(B.dtype)[:, None]
    B, C = B * phase.conj(), terms.Vh[:k] * phase
    return KroneckerSum(
        s=terms.s[:k].copy(), B=B.reshape(k * cut.m1, cut.n1), C=np.ascontiguousarray(C).reshape(k * cut.m2, cut.n2)
    )


METHOD = Method(
    name="kron",
    whole=True,
    options=KronOptions,
    run=run,
    identity="A ~ sum_i s_i B_i (x) C_i",
    cost="that of `svd` on the m1 n1 x m2 n2 rearranged matrix; a search costs 4 m n (k + 8) flops a shape",
    reference="Van Loan and Pitsianis 1993; shapes: Cai, Chen and Xiao 2022",
    guarantee="the smallest of any sum of k Kronecker products of that shape, as `svd` is on the rearranged matrix",
    choose="block structure, separable filters and covariances; factors far smaller than any low rank",
)
