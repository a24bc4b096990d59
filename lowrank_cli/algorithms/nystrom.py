"""Nystrom approximation of a symmetric positive semidefinite matrix: A ~ F F^H, from a sketch or from columns."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import NumericalError
from ..factors.nystrom import ColumnNystrom, Nystrom
from ..lazy import np
from ..matrices.blocks import cross
from ..matrices.facts import MatrixFacts
from ..matrices.kernel import KernelMatrix
from ..matrices.metered import Metered
from ..matrices.tiles import scale_exactly
from ..memory import require
from ..options import check, opt
from ..streams import Streams
from .assessment import Assessor, assessor
from .bases import LAPACK_ENTRIES, to_tolerance
from .completion import Completed, Ordered, complete
from .method import Method
from .nystrom_sources import Projected, Whole
from .outcome import Outcome, Status
from .probes import Probes
from .rpcholesky import PivotedCholesky
from .scaling import Scaled, bring_to_scale, check_rank
from .svd import SVDOptions, basis_for
from .symmetric import check_symmetric, diagonal
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    import numpy

#: What swept a matrix that was not.
_UNSWEPT = "none"


@dataclasses.dataclass(frozen=True)
class NystromOptions:
    """pivots: what the approximation is made from."""

    pivots: str = opt(
        "sketch",
        "What F is made from (nystrom): products with a random sketch, the smallest error; or columns of the matrix, "
        "drawn by randomly pivoted Cholesky, which reads no more than these and the diagonal.",
        choices=("sketch", "columns"),
    )

    def __post_init__(self) -> None:
        check(self)


def run(matrix: Metered, budget: Budget, options: NystromOptions, streams: Streams) -> Outcome:
    """A ~ F F^H for A = A^H positive semidefinite; A - F F^H is positive semidefinite too, but for rounding.

    sketch: the Nystrom approximation A Q (Q^H A Q)^-1 Q^H A on the leading directions Q of the Krylov basis that the
    SVD takes, one product more, with a small shift for stability that is taken off again (Tropp, Yurtsever, Udell and
    Cevher 2017; Li et al. 2017), cut to its k largest eigenvalues; small matrices, and nearly full ranks, by LAPACK's
    eigenvalues. Its error is never above that of the projection on Q. columns: randomly pivoted Cholesky, accelerated
    (``PivotedCholesky``); the expected trace of the error is at most (1 + eps) times that of the best of rank r for
    k >= r / eps + r log(1 / (eps eta)). The rank is less than asked for when nothing is left.

    The Frobenius error is measured, as everywhere; the trace of the error, tr A - |F|^2, is exact from the diagonal:
    for a semidefinite error it is its nuclear norm. With a tolerance: the smallest rank, along the order of eigenvalues
    or pivots, whose measured error meets it; columns grow until stored probes say that it is met, or the trace of the
    error, which is never below its Frobenius norm, proves it. Cost: sketch, as svd, and one pass that compares the
    matrix with its adjoint; columns, n k entries and 2 n k^2 flops, a sweep, that pass, and one for the error. A kernel
    matrix is symmetric, so it needs no such pass, and with columns and no error asked for no pass at all.

    Raises UsageError (not square, not symmetric, negative beyond rounding, rank too large, tolerance below eps),
    InputError (NaN, Inf), NumericalError, ResourceError.
    """
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    scaled = _even(_swept(matrix, budget, options), matrix)
    check_symmetric(scaled.matrix, math.ldexp(scaled.facts.max_abs, -scaled.exponent))
    assess = assessor(scaled, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    factor: Nystrom | ColumnNystrom
    if options.pivots == "columns":
        done, factor, facts = _from_columns(scaled, budget, target, assess, streams)
    else:
        done, factor, facts = _from_sketch(scaled, budget, target, assess, streams)
    trace, left = _traces(scaled, factor)
    half = scaled.exponent // 2
    factor = dataclasses.replace(factor, F=scale_exactly(factor.F, half))
    if not np.all(np.isfinite(factor.F)):
        raise NumericalError(f"an entry of F overflows {factor.F.dtype}", hint="scale the matrix down")
    if scaled.facts.kernel != _UNSWEPT:
        facts["kernels"].append(f"sweep {scaled.facts.kernel}")
    facts |= {"pivots": options.pivots, "trace_error_relative": left / trace if trace else 0.0}
    return Outcome(factor, done.status, done.certificate, scaled.matrix.ledger, facts)


def _swept(matrix: Metered, budget: Budget, options: NystromOptions) -> Scaled:
    """The sweep that every method begins with; columns of a kernel matrix whose error nobody asks for do without: its
    entries are finite and at most 1."""
    if budget.certify != "none" or options.pivots != "columns" or not isinstance(matrix.inner, KernelMatrix):
        return bring_to_scale(matrix)
    return Scaled(matrix, MatrixFacts(1.0, 0, np.zeros(matrix.shape[1]), _UNSWEPT), 0)


def _even(scaled: Scaled, matrix: Metered) -> Scaled:
    """The same with an even exponent, of which F carries half."""
    if scaled.exponent % 2 == 0:
        return scaled
    return Scaled(matrix.scaled(-(scaled.exponent + 1)), scaled.facts, scaled.exponent + 1)


def _traces(scaled: Scaled, factor: Any) -> tuple[float, float]:
    """(tr A, tr (A - F F^H)), entry by entry of the diagonal."""
    d = diagonal(scaled.matrix)
    kept = np.square(np.abs(factor.F).astype(np.float64)).sum(axis=1)
    return float(np.sum(d)), max(0.0, float(np.sum(d - kept)))


# From a sketch


def _from_sketch(
    scaled: Scaled, budget: Budget, target: float | None, assess: Assessor | None, streams: Streams
) -> tuple[Completed, Nystrom, dict[str, Any]]:
    grown = basis_for(scaled, budget, SVDOptions(), assess, target, streams)
    source = Whole(scaled) if grown is None else Projected(scaled, grown)
    done = _cut(source, scaled, budget, target, assess)
    if done.status is Status.STAGNATED and not source.complete and target is not None and assess is not None:
        # the basis promised more than it held: one that reaches deeper, or all there is
        deeper = None
        if math.prod(scaled.matrix.shape) > LAPACK_ENTRIES:
            deeper = to_tolerance(scaled, assess, target / 16, budget.rank, streams)
        source = Whole(scaled) if deeper is None else Projected(scaled, deeper)
        done = _cut(source, scaled, budget, target, assess)
    return done, source.factor(done.rank), {"kernels": list(source.kernels), **source.facts}


def _cut(
    source: Whole | Projected, scaled: Scaled, budget: Budget, target: float | None, assess: Assessor | None
) -> Completed:
    norm = 0.0 if assess is None else assess.norm

    def optimal_lower(k: int) -> float | None:
        if not source.complete or not norm:
            return None if norm else 0.0
        gains = source.gains()
        return float(np.sum(gains[k : k + 1] if budget.norm == "spectral" else gains[k:])) ** 0.5 / norm

    pieces = Ordered(source.factor, source.gains(), source.beyond, optimal_lower)
    return complete(pieces, scaled, budget, target, assess)


# From columns


def _from_columns(
    scaled: Scaled, budget: Budget, target: float | None, assess: Assessor | None, streams: Streams
) -> tuple[Completed, ColumnNystrom, dict[str, Any]]:
    matrix, n = scaled.matrix, scaled.matrix.shape[0]
    grower = PivotedCholesky(matrix, streams)
    cap = budget.rank or n
    judge = None
    if target is None:
        _require(matrix, cap)
        grower.grow(cap, exactly=True)
    else:
        judge = _Watched(grower, Probes(matrix, streams))
        _grow(judge, cap, target, 1.0 if assess is None else assess.margin)
    while True:
        count = max(1, len(grower.pivots))
        gains, beyond = (np.zeros(count), 0.0) if judge is None else judge.gains()
        F = grower.F.dense().astype(matrix.dtype) if grower.pivots else np.zeros((n, 1), matrix.dtype)
        cols = np.array(grower.pivots or [0], np.int64)
        build = functools.partial(_columns, cols, F)
        known = None if scaled.facts.kernel == _UNSWEPT else scaled
        done = complete(Ordered(build, gains[:cap], beyond), known, budget, target, assess)
        if done.status is not Status.STAGNATED or judge is None or grower.exhausted or count >= cap:
            break
        # the probes promised too much
        _require(matrix, count + count // 4 + 32)
        grower.grow(count + count // 4 + 32, exactly=False)
        judge.look()
    facts: dict[str, Any] = {"kernels": ["pivoted cholesky numpy"]}
    if judge is not None:
        facts["stopped_by"] = judge.stopped_by
    return done, build(done.rank), facts


def _columns(cols: numpy.ndarray, F: numpy.ndarray, k: int) -> ColumnNystrom:
    return ColumnNystrom(cols=cols[:k], F=np.ascontiguousarray(F[:, :k]))


def _require(matrix: Metered, count: int) -> None:
    n = matrix.shape[0]
    need = 2 * 8 * n * min(n, count) * (2 if matrix.dtype.kind == "c" else 1)
    require(need, f"a factor of {count} columns for a {n}x{n} matrix", "loosen --rtol, or lower the rank")


def _grow(watched: _Watched, cap: int, target: float, margin: float) -> None:
    """Columns until the probes say that the squared error is at most target, or the trace proves it."""
    grower = watched.grower
    while True:
        watched.look()
        if float(np.sum(grower.left)) ** 2 <= target:
            watched.stopped_by = "trace"
        elif watched.squares[-1] <= 0.8 * margin * target:
            watched.stopped_by = "probes"
        elif grower.exhausted:
            watched.stopped_by = "rounding"
        elif len(grower.pivots) >= cap:
            watched.stopped_by = "rank"
        else:
            count = len(grower.pivots)
            more = count + max(32, count // 4)
            _require(grower.matrix, more)
            grower.grow(more, exactly=False)
            continue
        return


class _Watched:
    """Columns as they grow, and what stored probes say of the squared error after each of them."""

    def __init__(self, grower: PivotedCholesky, probes: Probes):
        self.grower, self.G = grower, probes.G
        self.rest = probes.AG.astype(grower.dtype)
        self.squares = [self._square()]
        self.stopped_by = "rank"
        self._blocks = 0

    def _square(self) -> float:
        return float(np.sum(np.square(np.abs(self.rest)))) / self.rest.shape[1]

    def look(self) -> None:
        """Take the columns that are new out of the probes, one by one."""
        for block in self.grower.F.blocks[self._blocks :]:
            C = cross(block, self.G.astype(block.dtype), self.grower.matrix.engine)
            for j in range(block.shape[1]):
                self.rest -= np.outer(block[:, j], C[j])
                self.squares.append(self._square())
        self._blocks = len(self.grower.F.blocks)

    def gains(self) -> tuple[numpy.ndarray, float]:
        squares = np.minimum.accumulate(np.array(self.squares))
        return squares[:-1] - squares[1:] if len(squares) > 1 else np.zeros(1), float(squares[-1])


METHOD = Method(
    name="nystrom",
    options=NystromOptions,
    run=run,
    identity="A ~ F F^H, A positive semidefinite",
    cost="sketch: as svd, and a pass for symmetry; columns: n k entries, 2 n k^2 flops, a sweep and two passes",
    reference="Tropp et al. 2017; Chen, Epperly, Tropp and Webber 2025; Epperly, Tropp and Webber 2024",
    guarantee="never above the projection on the same directions (sketch); in the mean within 1 + eps of the best "
    "trace of rank r for k >= r/eps + r log(1/(eps eta)) columns; the trace of the error is exact",
    choose="covariances, Gram and kernel matrices: half the numbers of an SVD; columns where entries are dear",
)
