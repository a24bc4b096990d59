"""The best approximation one factor of which is given: the other factor by least squares, or one of lower rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import NumericalError, UsageError
from ..factors.given import Given, GivenReduced
from ..lazy import np
from ..matrices.adjoint import Adjoint, adjoint_of
from ..matrices.dense import TiledMatrix
from ..matrices.metered import Metered
from ..matrices.sparse import SparseMatrix
from ..matrices.tiles import scale_exactly
from ..options import check, opt
from ..streams import Streams
from .assessment import swept
from .completion import Completed, Ordered, complete
from .least_squares import Cut, Decomposed, Inverse, decompose, require_dense
from .method import Method
from .outcome import Outcome, Status
from .scaling import Scaled, check_rank
from .svd_sources import Full
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    from .assessment import Assessor


@dataclasses.dataclass(frozen=True)
class GivenOptions:
    """What counts as rank of the given factor, and what keeps the other one small."""

    rcond: float | None = opt(
        None,
        "Singular values of the given factor up to this share of its largest count as zero (given). "
        "Default max(m, n) eps.",
        above=0.0,
        max=0.5,
    )
    ridge: float = opt(0.0, "Minimize |A - L R|^2 + RIDGE |R|^2, R the factor looked for (given).", min=0.0)

    def __post_init__(self) -> None:
        check(self)


def run(
    matrix: Metered, budget: Budget, options: GivenOptions, streams: Streams, given: Mapping[str, Metered]
) -> Outcome:
    """A ~ L R with L given: R = L^+ A of minimum norm, so L R is the projection of A on the columns of L; or R given.

    With a rank k below the columns of L: the best R of rank at most k, as L W R. For L = Q T, Q orthonormal, that is
    R = T^+ [Q^H A]_k, [.]_k the truncated SVD, and the squared error is |(I - Q Q^H) A|^2 + the tail of the squared
    singular values of Q^H A (Friedland and Torokhti 2007). With a tolerance: the smallest such rank that meets it; if
    none does, all of R and status GIVEN_EXHAUSTED. With neither: all of R. A given R is treated as the L of A^H. With a
    ridge the same of [L; sqrt(ridge) I] and [A; 0]; it takes no tolerance. The given factor is stored bit for bit.

    The rank of L is that of ``least_squares.decompose``; of full rank it goes through QR, never normal equations. Cost
    for L of p columns: 2 m n p flops for the one product, 4 m p^2 for L and, for a lower rank, an SVD of p x n, in 4
    passes, one over L and one for the error. Raises UsageError (shapes do not fit, rank too large, tolerance below eps
    or with a ridge), InputError (NaN, Inf), NumericalError (overflow), ResourceError (a given sparse factor too large
    to be written out).
    """
    ((side, factor),) = given.items()
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    _check_shapes(side, matrix, factor)
    if options.ridge and budget.has_tolerance:
        raise UsageError(
            "--ridge trades error for size and takes no tolerance", hint="give a rank, or leave --rtol out"
        )
    hint = "a dense factor of fewer columns would do" if side == "left" else "a dense factor of fewer rows would do"
    rcond = max(factor.shape) * float(np.finfo(factor.dtype).eps) if options.rcond is None else options.rcond
    require_dense(factor, f"the {side} factor", hint)
    stored, work = _read(factor, matrix)
    found = decompose(work, rcond, None, streams, f"the {side} factor", hint)
    matrix.ledger.flops += work.ledger.flops
    scaled, assess = swept(matrix, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    search = _Search(side, stored, found, scaled, options.ridge)
    if budget.rank is None and target is None:
        done = _whole(search, scaled, assess)
    else:
        done = _reduced(search, scaled, budget, target, assess)
    made = search.build(done.rank, scaled.exponent)
    if not all(np.all(np.isfinite(getattr(part, "data", part))) for part in made.arrays().values()):
        raise NumericalError("the factor looked for overflows", hint="scale the given one up or the matrix down")
    return Outcome(made, done.status, done.certificate, matrix.ledger, _facts(search, found.cut, scaled, done))


def _check_shapes(side: str, matrix: Metered, factor: Metered) -> None:
    along, name = (0, "rows") if side == "left" else (1, "columns")
    if factor.shape[along] != matrix.shape[along]:
        raise UsageError(
            f"the {side} factor is {factor.shape[0]}x{factor.shape[1]}, the matrix {matrix.shape[0]}x{matrix.shape[1]}",
            hint=f"they must have as many {name}",
        )


def _read(factor: Metered, matrix: Metered) -> tuple[Any, Metered]:
    """The factor as it was given, dense in C order, a sparse one as it is; and the same to compute with, in the
    precision of the matrix if that is higher: its rounding would show in the error. One pass."""
    dtype = np.result_type(factor.dtype, np.finfo(matrix.dtype).dtype)
    source: Any = factor.inner
    name = getattr(source, "name", None)
    if factor.nnz is None:
        stored = np.array(factor.whole(), order="C")
        return stored, Metered(TiledMatrix(stored.astype(dtype, copy=False), factor.engine, name=name))
    factor.ledger.passes += 1
    return source.array, Metered(SparseMatrix(source.array.astype(dtype), factor.engine, name))


class _Search:
    """Coordinates of the matrix in the range of the given factor, and factors made of them.

    full: the inner side of the given factor; lower ranks are counted in coordinates, at most ``len(gains())``.
    """

    def __init__(self, side: str, stored: Any, found: Decomposed, scaled: Scaled, ridge: float):
        self.side, self.stored, self.scale = side, stored, found.scaled.exponent
        self.full = stored.shape[1 if side == "left" else 0]
        work: Metered | Adjoint = scaled.matrix if side == "left" else Adjoint(scaled.matrix)
        self.by: Inverse = (found if side == "left" else found.adjoint()).inverse(ridge)
        self.C = self.by.damping[:, None] * adjoint_of(work.rmatmat(self.by.basis))
        self.exact = not ridge
        self.least: float | None = None
        self._svd: Full | None = None

    def svd(self) -> Full:
        """Of the coordinates, when first asked for."""
        if self._svd is None:
            self._svd = Full(Metered(TiledMatrix(self.C)))
        return self._svd

    def build(self, k: int | None, exponent: int | None = None) -> Given | GivenReduced:
        """The factor of rank k, None for all there is; of the scaled matrix, or, with its exponent, as it was given."""
        given = self.stored
        back, up = -self.by.exponent, exponent
        if up is None:
            given, back, up = _times_power(given, -self.scale), self.scale - self.by.exponent, 0
        with np.errstate(over="ignore"):
            if k is None or k >= self.full:
                other = scale_exactly(self.by.lift(self.C), back + up)
                return Given(given, other) if self.side == "left" else Given(adjoint_of(other), given)
            U, s, V = self.svd().triplets(k)
            W = scale_exactly(np.ascontiguousarray(self.by.lift(np.ascontiguousarray(U))), back)
            R = scale_exactly(np.ascontiguousarray((V * s).conj().T), up)
        if self.side == "left":
            return GivenReduced(given, W, R)
        return GivenReduced(adjoint_of(R), adjoint_of(W), given)


def _times_power(array: Any, exponent: int) -> Any:
    if not exponent:
        return array
    if not hasattr(array, "indptr"):
        return scale_exactly(array, exponent)
    made = array.copy()
    made.data = scale_exactly(array.data, exponent)
    return made


def _whole(search: _Search, scaled: Scaled, assess: Assessor | None) -> Completed:
    """All that the given factor allows."""
    from ..certificates.certificate import Certificate

    if assess is None:
        return Completed(search.full, Certificate(matrix_norm=scaled.facts.norm), Status.CONVERGED)
    certificate = assess(search.build(None), None).certificate
    if search.exact:
        search.least = certificate.relative
    return Completed(search.full, certificate, Status.CONVERGED)


def _reduced(
    search: _Search, scaled: Scaled, budget: Budget, target: float | None, assess: Assessor | None
) -> Completed:
    """The rank asked for, or the smallest that meets the tolerance; all there is when none does."""
    if target is None and budget.rank is not None and budget.rank >= search.full:
        return _whole(search, scaled, assess)
    gains = search.svd().squares()
    if target is not None and assess is not None and (budget.rank is None or budget.rank >= len(gains)):
        whole = assess(search.build(None), None)
        search.least = whole.certificate.relative
        if whole.square > target:
            return Completed(search.full, whole.certificate, Status.GIVEN_EXHAUSTED)
    beyond = max(0.0, scaled.squares - float(np.sum(gains)))
    return complete(Ordered(search.build, gains, beyond), scaled, budget, target, assess)


def _facts(search: _Search, cut: Cut, scaled: Scaled, done: Completed) -> dict[str, Any]:
    warnings = []
    if cut.ratio is not None and cut.ratio < 10:
        warnings.append(f"No clear gap decides the rank of the given factor: a factor {cut.ratio:.2g}.")
    if not cut.rank:
        warnings.append("The given factor is zero.")
    return {
        "kernels": ["lapack geqrf", "lapack gesdd", f"sweep {scaled.facts.kernel}"],
        "given": search.side,
        "given_rank": cut.rank,
        "given_rule": {name: getattr(cut, name) for name in ("rcond", "threshold", "largest", "above", "below")},
        "given_condition": cut.condition,
        "least_relative": search.least,
        "warnings": warnings,
    }


METHOD = Method(
    name="given",
    options=GivenOptions,
    run=run,
    identity="A ~ L R with L (or R) given; A ~ L W R for a lower rank",
    cost="2 m n p + 4 m p^2 flops for a given factor of p columns, in 4 passes",
    reference="Penrose 1956; Friedland and Torokhti 2007",
    guarantee="the smallest error there is with the given factor: error^2 = |(I - L L^+) A|^2 + the tail of L L^+ A",
    choose="one factor is known: a basis, a dictionary, features; the other, or its best form of low rank, is wanted",
    companions=("left", "right"),
    limited=False,
)
