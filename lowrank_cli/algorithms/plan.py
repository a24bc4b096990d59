"""What every rank would cost and leave over: the error curve of one factorization, and what a real run will take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..budget import Budget
from ..certificates.residual import residual
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..memory import require
from ..streams import Streams
from . import few_passes, needs
from .bases import FRESH, FULL_SHARE, LAPACK_ENTRIES, LEAST_BLOCKS, Grown, few_blocks, tall, width
from .krylov import BlockKrylov, multiple_of_32
from .needs import driver, triplets
from .probes import Probes
from .scaling import Scaled, bring_to_scale
from .svd import SVDOptions, wants_lapack
from .svd_sources import Full, Refined, Source, signed
from .tolerance import check_tolerance, rank_for

if TYPE_CHECKING:
    import numpy

    from ..matrices.protocols import Matrix

#: A rank is settled when more blocks would lower its squared error by less than this share of it.
_REMAINS = 6e-3
#: Columns of the basis when nobody asked for a certain tolerance or size.
MODEST = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """The error of one factorization with K triplets, cut at every rank.

    errors (reach + 1,): relative Frobenius errors at ranks 0 .. reach, non-increasing, within about 0.3 % of the best.
    lower (K + 1,): what no approximation of that rank can go below. complete: K and reach are all there is, and what is
    left there is rounding. rounding: errors below this say nothing about the matrix. |A| = norm * 2**exponent.
    """

    errors: numpy.ndarray
    lower: numpy.ndarray
    reach: int
    complete: bool
    rounding: float
    kernels: list[str]
    norm: float
    exponent: int

    @property
    def floor(self) -> float:
        """Errors up to this one are rounding."""
        return max(self.rounding, 1.05 * float(self.errors[-1]) if self.complete else 0.0)

    @property
    def useful(self) -> int:
        """The rank from which on only rounding changes, or where the curve stops being close to the best."""
        noise = np.flatnonzero(self.errors <= self.floor)
        return max(1, int(noise[0])) if len(noise) else self.reach

    @property
    def exact(self) -> bool:
        """Whether the matrix is reached to rounding at the useful rank."""
        return bool(self.errors[self.useful] <= self.floor)

    def rank_for(self, rtol: float) -> int | None:
        """The smallest rank >= 1 with an error of at most rtol; None when the curve does not get there."""
        fits = np.flatnonzero(self.errors <= rtol)
        return max(1, int(fits[0])) if len(fits) else None

    def least_rank_for(self, rtol: float) -> int:
        """A rank that any approximation with an error of at most rtol must have; proven, not always attained."""
        fits = np.flatnonzero(self.lower <= rtol)
        return max(1, int(fits[0])) if len(fits) else len(self.lower)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a curve must answer. rtols: relative tolerances whose ranks are sought; ranks: to be on the curve; modest:
    stop at a basis of MODEST columns whatever the tolerances need; pays: a tolerance proven to need more than this
    rank needs no rank found, when finding it takes more than LAPACK can do."""

    rtols: Sequence[float] = ()
    ranks: Sequence[int] = ()
    modest: bool = False
    pays: int = 0


def trace(matrix: Metered, wanted: Wanted, streams: Streams) -> Curve:
    """The error curve, good at least up to the ranks given and to those that the tolerances need.

    err_k^2 = err_r^2 + sum of s_j^2 over k < j <= r, an identity for orthogonal projections, with the error at the
    last rank r of the curve measured against the matrix. LAPACK's decomposition where ``svd.wants_lapack`` says so, or
    where the basis would grow past half of the smaller side; else one block Krylov basis, grown until the ranks asked
    for are settled.

    Raises UsageError (tolerance below eps), InputError (NaN, Inf), NumericalError, ResourceError. Cost: with LAPACK
    three passes; with a basis of K columns 2 to 3 passes a block, 4 m n K flops, memory 2 (m + n) K.
    """
    m, n = matrix.shape
    for rtol in wanted.rtols:
        check_tolerance(Budget(rtol=rtol), matrix.dtype)
    lapack = wants_lapack(matrix, max(wanted.ranks, default=None), SVDOptions())
    if not lapack:
        _require_basis(matrix, 128)
    scaled = bring_to_scale(matrix)
    high = tall(scaled.matrix)
    source, reach = (Full(high), min(m, n)) if lapack else _grow(high, scaled.squares, wanted, streams)
    return _measured(source, scaled, reach, transposed=m < n)


def needs_of(matrix: Matrix, wanted: Wanted, have: int) -> dict[str, int]:
    """Bytes of memory by component that ``trace`` takes at least."""
    most = max(wanted.ranks, default=None)
    lapack = wants_lapack(matrix, most, SVDOptions())
    return needs.spectrum(matrix, None if lapack else most or 1, width(most or 1), have)


def _grow(matrix: Metered | Adjoint, total: float, wanted: Wanted, streams: Streams) -> tuple[Source, int]:
    """A source of triplets and the rank up to which it is settled."""
    m, n = matrix.shape
    dense = m * n <= LAPACK_ENTRIES
    probes = Probes(matrix, streams)
    basis = BlockKrylov(matrix, streams)
    b = multiple_of_32(max(wanted.ranks, default=0) / 2 + 10)
    basis.start(b, fused=True)
    seen: list[numpy.ndarray] = []
    blocks = 1
    while not basis.exhausted:
        beyond, squares = probes.beyond(basis), basis.ritz_squares()
        seen.append(squares)
        reach = _settled(seen, beyond)
        need = _needed(wanted, total, beyond, squares)
        # the probes may be some percent off: the curve goes on a little beyond what they ask for
        if need + 1 + need // 16 <= reach or (wanted.modest and basis.size + b > MODEST):
            return _refined(basis, beyond, total), reach
        if not dense and reach > max(wanted.ranks, default=0) and _hopeless(wanted, total, beyond, squares, reach):
            return _refined(basis, beyond, total), reach
        if need > basis.size:
            b = max(b, multiple_of_32(basis.size / 2))
        if blocks >= LEAST_BLOCKS - 1:
            # a Krylov space holds a repeated singular value at most as often as its first block is wide
            b += FRESH
        if dense and basis.size + b > FULL_SHARE * n:
            return Full(matrix), n
        _require_basis(matrix, basis.size + b)
        basis.expand(b, fused=True)
        blocks += 1
    noise = (16 * max(m, n) ** 0.5 * float(np.finfo(matrix.dtype).eps)) ** 2 * total
    if probes.beyond(basis) <= noise:
        basis.pad(1)
        return _refined(basis, 0.0, total), basis.size
    # the basis stopped for its own rounding, not for want of a matrix
    if dense:
        return Full(matrix), n
    return _refined(basis, 0.0, total), max(1, min(_settled([*seen, basis.ritz_squares()], noise), basis.size - 1))


def _refined(basis: BlockKrylov, beyond: float, total: float) -> Refined:
    return Refined(basis.matrix, Grown(basis, beyond=beyond), total**0.5)


def _needed(wanted: Wanted, total: float, beyond: float, squares: numpy.ndarray) -> int:
    """The rank that the curve has to reach, as far as the basis can tell."""
    found = (rank_for(rtol**2 * total, beyond, squares) for rtol in wanted.rtols)
    return max([*wanted.ranks, *found], default=1)


def _hopeless(wanted: Wanted, total: float, beyond: float, squares: numpy.ndarray, reach: int) -> bool:
    """Whether every tolerance not yet met needs, provably, a rank that does not pay."""
    targets = [rtol**2 * total for rtol in wanted.rtols]
    unmet = [target for target in targets if rank_for(target, beyond, squares) > reach]
    tails = _tails(squares)
    return all(int(np.count_nonzero(tails > target)) > wanted.pays for target in unmet)


def _settled(seen: list[numpy.ndarray], beyond: float) -> int:
    """Up to which rank further blocks will change next to nothing, by the Ritz values after each block so far.

    Gains fall at least geometrically, and the product that is still to come is worth half a block.
    """
    if len(seen) < 2:
        return 0
    before, squares = seen[-2:]
    shared = len(before)
    gain = np.cumsum(squares[:shared] - before)
    rest = gain.copy()
    if len(seen) > 2:
        first = len(seen[-3])
        earlier = np.cumsum(before[:first] - seen[-3])
        ratio = np.divide(gain[:first], earlier, out=np.ones(first), where=earlier > np.maximum(2 * gain[:first], 0))
        ratio = np.maximum(ratio, 0.0)
        fast = ratio < 0.5
        rest[:first][fast] *= (ratio[fast] ** 1.5) / (1 - ratio[fast])
    left = beyond + np.append(np.cumsum(squares[::-1])[::-1], 0.0)[1 : shared + 1]
    noise = squares[0] * len(squares) * float(np.finfo(squares.dtype).eps)
    bad = np.flatnonzero(rest > np.maximum(_REMAINS * left, noise))
    return int(bad[0]) if len(bad) else shared


def _measured(source: Source, scaled: Scaled, reach: int, transposed: bool) -> Curve:
    """The curve up to reach, its end measured in one pass."""
    U, s, V = source.triplets(reach)
    engine = scaled.matrix.engine
    factor = signed(V, s[:reach], U, engine) if transposed else signed(U, s[:reach], V, engine)
    error = residual(scaled.matrix, factor)
    values = s.astype(np.float64)
    squares = _tails(np.square(values[:reach])) + float(np.ldexp(error.squares, 2 * error.exponent))
    norm = scaled.squares**0.5 or 1.0
    eps = float(np.finfo(scaled.matrix.dtype).eps)
    # the identity may add up to more than the whole by a few eps
    errors = np.minimum(np.sqrt(squares) / norm, 1.0)
    lower = _lower(values, source.squares(), eps) / norm
    lower[: reach + 1] = np.minimum(lower[: reach + 1], errors)
    rounding = 4 * max(scaled.matrix.shape) ** 0.5 * eps
    complete = reach >= len(source.squares())
    return Curve(errors, lower, reach, complete, rounding, source.kernels, scaled.squares**0.5, scaled.exponent)


def _tails(squares: numpy.ndarray) -> numpy.ndarray:
    """Sums of what follows each place: one entry more, the last one 0."""
    return np.append(np.cumsum(squares[::-1])[::-1], 0.0)


def _lower(values: numpy.ndarray, squares: numpy.ndarray, eps: float) -> numpy.ndarray:
    """What no approximation of rank 0, 1, ... can go below: Ritz values never exceed singular values.

    values: as many as were resolved, each to a few eps of the largest; squares: all, to a few eps of the largest
    square, which says less of small ones but more of a long tail.
    """
    few = np.zeros(len(squares) + 1)
    few[: len(values) + 1] = np.sqrt(_tails(np.square(values))) - 4 * eps * len(values) ** 0.5 * values[0]
    noise = 4 * len(squares) * max(eps, float(np.finfo(np.float64).eps)) * float(squares[0])
    return np.maximum(np.maximum(few, 0.0), np.sqrt(np.maximum(_tails(squares) - noise, 0.0)))


def _require_basis(matrix: Metered | Adjoint, columns: int) -> None:
    m, n = matrix.shape
    # the long side of a dense matrix may go to scratch files
    need = 2 * columns * (n if matrix.nnz is None else m + n) * np.dtype(matrix.dtype).itemsize
    require(need, f"a Krylov basis of {columns} columns for a {m}x{n} matrix", "loosen --rtol, or ask for fewer bytes")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What ``approx --method svd --rank k`` with its defaults will take.

    driver: "lapack", "few passes", "gram" or "block krylov". passes: least, usual and most; all three equal for LAPACK,
    while a Krylov basis grows until it is good: usual is what three or four blocks take where values decay, least what
    a matrix of very low rank does. parts: bytes of arrays at the peak by component, for the usual passes. products:
    flops of products with the matrix; dense: flops of other products of dense blocks; the decomposition by LAPACK is
    in neither.
    """

    driver: str
    least: int
    usual: int
    most: int
    parts: dict[str, int]
    products: float
    dense: float

    @property
    def memory(self) -> int:
        """Bytes at the peak."""
        return sum(self.parts.values())


def predict(shape: tuple[int, int], entries: int, matrix_bytes: int, itemsize: int, rank: int) -> Prediction:
    """The prediction from shapes alone. entries: stored ones; matrix_bytes: of the matrix in memory while computing;
    itemsize: of a value we compute with."""
    m, n = shape
    options, side, dense = SVDOptions(), min(shape), entries == m * n
    last = 2.0 * m * n * rank
    made = driver(shape, dense, itemsize, Budget(rank), options)
    parts = {"matrix": matrix_bytes} | triplets(made, shape, itemsize, rank, 2)
    if made == "lapack":
        # the sweep, the whole, the residual
        return Prediction(made, 3, 3, 3, parts, 0.0, last)
    if made == "few passes":
        block, kept = few_passes.widths(shape, rank)
        products = 4.0 * entries * (2 * block + 2 * kept)
        done = 6.0 * (m + n) * (2 * kept) ** 2
        return Prediction(made, 1, few_passes.USUAL, few_passes.MOST + 1, parts, products, done)
    if made == "gram":
        # the sweep, the Gram matrix, the basis and the last product; double once more where single shows
        held = rank + 64
        done = last + 6.0 * (m + n) * held**2
        return Prediction(made, 5, 5, 30, parts, 2.0 * entries * (side + 2 * held), done)
    b, fresh = width(rank), FRESH
    # sweep, last product and residual; the sketch; a pass a block, the last one two, with fresh columns
    usual, columns = 3 + LEAST_BLOCKS + 2, 2 * LEAST_BLOCKS * b + 2 * fresh + rank
    # a fresh sketch in each early block that lost columns, filling up to the rank, all in double precision once more
    most = usual + (LEAST_BLOCKS - 2) + 1 + 4 + LEAST_BLOCKS + 1
    size, blocks = LEAST_BLOCKS * b + fresh, LEAST_BLOCKS
    while blocks < options.max_blocks and size < side:
        blocks += 1
        size += b + (blocks - LEAST_BLOCKS + 1) * fresh
        most += 3
    held = min(LEAST_BLOCKS * b + fresh, side)
    if few_blocks(rank):
        # the third block is good enough where values decay: no fresh columns, so one pass
        usual, columns = usual - 2, columns - 2 * b - 2 * fresh
    return Prediction(made, 4, usual, most, parts, 2.0 * entries * columns, last + 6.0 * (m + n) * held**2)
