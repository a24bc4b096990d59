"""QB: the matrix projected on the leading directions of its columns, as the truncated SVD is before its small SVD."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import NumericalError
from ..factors.qb import QB
from ..lazy import np
from ..matrices.blocks import cast, columns_of, times
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..matrices.tall import contiguous
from ..matrices.tiles import scale_exactly
from ..streams import Streams
from . import few_passes, one_pass
from .assessment import Assessor, swept
from .bases import LAPACK_ENTRIES, Grown, tall, to_tolerance
from .completion import Ordered, complete, seen
from .method import Method
from .outcome import Outcome, Status
from .scaling import Scaled, check_rank
from .svd import SVDOptions, basis_for
from .svd_sources import Full, Source
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    import numpy

#: Columns computed beyond those asked for with a tolerance: the rank that meets it may be a few more than guessed.
_SPARE = 8


@dataclasses.dataclass(frozen=True)
class QBOptions:
    """None: rank or tolerance say all."""


def run(matrix: Metered, budget: Budget, options: QBOptions, streams: Streams) -> Outcome:
    """A ~ Q B with Q^H Q = I: A projected on the leading directions of the Krylov basis that the SVD takes.

    For m >= n, B = Q^H A. For m < n the directions are those of rows, with projector P, and Q B = A P; so in both
    |A - Q B|^2 = |A|^2 - |B|^2, for the first k columns of Q and rows of B as well. The error is that of the SVD of the
    same rank before its small SVD, and passes and flops are the SVD's; small matrices, and nearly full ranks, are cut
    from LAPACK's SVD. With a tolerance: the smallest rank whose measured error meets it.

    Raises UsageError (rank too large, tolerance below eps), InputError (NaN, Inf), NumericalError, ResourceError.
    Martinsson and Voronin 2016; Yu, Gu and Li 2018. We differ: a block Krylov basis, and an error that is measured,
    not found as a difference of squares.
    """
    if budget.passes == 1:
        seen, scaled, assess, target = one_pass.see(matrix, budget, None, streams)
        return _finish(_Cut(seen, matrix.shape[0] < matrix.shape[1]), scaled, budget, target, assess)
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    if few_passes.counted(matrix, budget):
        reached, scaled, target, assess = few_passes.approach(matrix, budget, None, streams)
        return _finish(_Cut(reached, m < n), scaled, budget, target, assess)
    scaled, assess = swept(matrix, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    grown = basis_for(scaled, budget, SVDOptions(), assess, target, streams)
    source = _whole(scaled) if grown is None else _Projected(scaled, grown, target)
    outcome = _finish(source, scaled, budget, target, assess)
    if outcome.status is Status.STAGNATED and not source.complete and target is not None and assess is not None:
        # the basis promised more than it held: one that reaches deeper, or all there is
        deeper = None
        if m * n > LAPACK_ENTRIES:
            deeper = to_tolerance(scaled, assess, target / 16, budget.rank, streams)
        source = _whole(scaled) if deeper is None else _Projected(scaled, deeper, target)
        outcome = _finish(source, scaled, budget, target, assess)
    return outcome


def _whole(scaled: Scaled) -> _Cut:
    return _Cut(Full(tall(scaled.matrix)), scaled.matrix.shape[0] < scaled.matrix.shape[1])


class _Cut:
    """Pairs cut from triplets: those of LAPACK's SVD, of a single pass, or of a few."""

    def __init__(self, triplets: Source, transposed: bool):
        self.source, self.transposed = triplets, transposed
        self.kernels, self.facts, self.beyond = triplets.kernels, triplets.facts, triplets.beyond
        self.complete, self.spent = triplets.complete, triplets.spent

    def gains(self) -> numpy.ndarray:
        return self.source.squares()

    def pair(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        U, s, V = self.source.triplets(k)
        Q, X = (V, U) if self.transposed else (U, V)
        return np.ascontiguousarray(Q), np.ascontiguousarray((X * s).conj().T)


class _Projected:
    """Pairs from a Krylov basis and one product more. target: the squared error to reach, None for a rank."""

    def __init__(self, scaled: Scaled, grown: Grown, target: float | None):
        self.matrix, self.grown, self.target = tall(scaled.matrix), grown, target
        self.transposed = scaled.matrix.shape[0] < scaled.matrix.shape[1]
        single = grown.basis.W.dtype != scaled.matrix.dtype
        self.complete, self.beyond = grown.basis.exhausted and not single, grown.beyond
        self.spent, self.kernels = grown.spent, [grown.kernel]
        low = "single" if single else np.dtype(scaled.matrix.dtype).name
        self.facts: dict[str, Any] = {"basis": grown.basis.size, "basis_precision": low}
        self._known: tuple[int, Any] = (0, None)

    def gains(self) -> numpy.ndarray:
        """Squared Ritz values; those of all rows of B where rounding in the Gram matrix of the basis would matter."""
        squares = self.grown.squares()
        blur = float(squares[0]) * len(squares) * float(np.finfo(np.float64).eps)
        if self.target is None or self.target > 16 * blur:
            return squares
        B = self._computed(self.grown.basis.size)[1]
        return np.square(np.abs(B).astype(np.float64)).sum(axis=1)

    def pair(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        more = k if self.target is None else -(-(k + _SPARE) // 16) * 16
        Q, B = self._computed(min(more, self.grown.basis.size)) if self._known[0] < k else self._known[1]
        return contiguous(columns_of(Q, 0, k, self.matrix.engine)), np.ascontiguousarray(B[:k])

    def _computed(self, l: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        engine = self.matrix.engine
        U, T = self.grown.basis.left(l)
        U = cast(U, self.matrix.dtype, engine)
        Z = self.matrix.rmatmat(U)
        X, Z = times(U, T, engine, out=U), times(Z, T, engine, out=Z)
        if not self.transposed:
            made = X, Z.conj().T
        else:
            # A X X^H, X orthonormal directions of rows
            Q, R = orthonormalize(Z, engine)
            made = Q, np.asarray(times(X, np.ascontiguousarray(R.conj().T), engine)).conj().T
        self._known = l, made
        return made


def _finish(
    source: _Cut | _Projected, scaled: Scaled, budget: Budget, target: float | None, assess: Assessor | None
) -> Outcome:
    @functools.lru_cache(maxsize=1)  # assessed first, then handed over
    def build(k: int) -> QB:
        return QB(*source.pair(k))

    gains = source.gains()
    done = complete(Ordered(build, gains, source.beyond), scaled, budget, target, assess)
    factor = build(done.rank)
    if scaled.exponent:
        with np.errstate(over="ignore"):
            factor = dataclasses.replace(factor, B=scale_exactly(factor.B, scaled.exponent))
        if not np.all(np.isfinite(factor.B)):
            raise NumericalError(f"an entry of B overflows {factor.B.dtype}", hint="scale the matrix down")
    status = Status.PASSES_SPENT if done.status is Status.STAGNATED and source.spent else done.status
    facts = {"kernels": [*source.kernels, f"sweep {scaled.facts.kernel}"], **source.facts}
    values = seen(gains, done.rank, scaled.exponent)
    return Outcome(factor, status, done.certificate, scaled.matrix.ledger, facts, values)


METHOD = Method(
    name="qb",
    options=QBOptions,
    run=run,
    identity="A ~ Q B, Q^H Q = I",
    cost="4 q m n b + 2 m n k flops in q + 4 passes, as svd; LAPACK when small or nearly full rank",
    reference="Martinsson and Voronin 2016; Yu, Gu and Li 2018",
    guarantee="error^2 = |A|^2 - |B|^2, within a fraction of a percent of the smallest there is",
    choose="a basis of the columns and coordinates in it, when singular values are not wanted",
    spectrum=True,
    single_pass=True,
    least_passes=few_passes.LEAST,
)
