"""What every rank would cost and leave over: the error curve of one factorization, and what a real run will take."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.residual import residual
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..memory import require
from ..streams import Streams
from .krylov import BlockKrylov, multiple_of_32
from .probes import Probes
from .scaling import Scaled, bring_to_scale
from .svd import _FRESH as FRESH
from .svd import _FULL_SHARE as FULL_SHARE
from .svd import _LAPACK_ENTRIES as LAPACK_ENTRIES
from .svd import _LEAST_BLOCKS as LEAST_BLOCKS
from .svd import SVDOptions, wants_lapack
from .svd import _width as width
from .svd_sources import Full, Projected, Source, signed
from .tolerance import check_tolerance, rank_for

if TYPE_CHECKING:
    import numpy

#: A rank is settled when the last block lowered its squared error by less than this share of it.
_GAIN = 6e-3
#: Columns of the basis when nobody asked for a certain tolerance or size.
MODEST = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """The error of one factorization cut at every rank k = 0 .. K.

    errors (K + 1,): relative Frobenius errors, non-increasing. lower (K + 1,): what no approximation of that rank can
    go below. reach: up to this rank the errors are within about 0.3 % of the best; complete: K and reach are all there
    is, and what is left at K is rounding. rounding: errors below this say nothing about the matrix.
    """

    errors: numpy.ndarray
    lower: numpy.ndarray
    reach: int
    complete: bool
    rounding: float
    kernels: list[str]

    @property
    def floor(self) -> float:
        """Errors up to this one are rounding."""
        return max(self.rounding, 1.05 * float(self.errors[-1]) if self.complete else 0.0)

    @property
    def useful(self) -> int:
        """The rank from which on only rounding changes, or where the curve stops being close to the best."""
        noise = np.flatnonzero(self.errors[: self.reach + 1] <= self.floor)
        return max(1, int(noise[0])) if len(noise) else self.reach

    @property
    def exact(self) -> bool:
        """Whether the matrix is reached to rounding at the useful rank."""
        return bool(self.errors[self.useful] <= self.floor)

    def rank_for(self, rtol: float) -> int | None:
        """The smallest rank >= 1 with an error of at most rtol; None when the curve does not get there."""
        fits = np.flatnonzero(self.errors[: self.reach + 1] <= rtol)
        return max(1, int(fits[0])) if len(fits) else None

    def least_rank_for(self, rtol: float) -> int:
        """A rank that any approximation with an error of at most rtol must have; proven, not always attained."""
        fits = np.flatnonzero(self.lower <= rtol)
        return max(1, int(fits[0])) if len(fits) else len(self.lower)


def trace(matrix: Metered, rtols: Sequence[float], ranks: Sequence[int], streams: Streams, modest: bool) -> Curve:
    """The error curve, good at least up to the ranks given and to those that the tolerances need.

    err_k^2 = err_K^2 + sum of s_j^2 over k < j <= K, an identity for orthogonal projections, with err_K measured
    against the matrix. LAPACK's decomposition where ``svd.wants_lapack`` says so, or where the basis would grow past
    half of the smaller side; else one block Krylov basis, grown until the ranks asked for are settled. modest: stop
    at a basis of 512 columns, whatever the tolerances need.

    Raises UsageError (tolerance below eps), InputError (NaN, Inf), NumericalError, ResourceError. Cost: with LAPACK
    three passes; with a basis of K columns 2 to 3 passes a block, 4 m n K flops, memory 2 (m + n) K.
    """
    m, n = matrix.shape
    for rtol in rtols:
        check_tolerance(Budget(rtol=rtol), matrix.dtype)
    lapack = wants_lapack(matrix, max(ranks, default=None), SVDOptions())
    if not lapack:
        _require_basis(matrix, 128)
    scaled = bring_to_scale(matrix)
    tall: Metered | Adjoint = scaled.matrix if m >= n else Adjoint(scaled.matrix)
    if lapack:
        return _measured(Full(tall), scaled, min(m, n), transposed=m < n)
    source, reach = _grow(tall, scaled.squares, rtols, ranks, streams, modest)
    return _measured(source, scaled, reach, transposed=m < n)


def _grow(
    matrix: Metered | Adjoint,
    total: float,
    rtols: Sequence[float],
    ranks: Sequence[int],
    streams: Streams,
    modest: bool,
) -> tuple[Source, int]:
    """A source of triplets and the rank up to which it is settled."""
    m, n = matrix.shape
    probes = Probes(matrix, streams)
    basis = BlockKrylov(matrix, streams)
    b = multiple_of_32(max(ranks, default=0) / 2 + 10)
    basis.start(b, fused=True)
    before = np.empty(0)
    blocks = 1
    while not basis.exhausted:
        beyond, squares = probes.beyond(basis), basis.ritz_squares()
        reach = _settled(before, squares, beyond)
        need = max([*ranks, *(rank_for(rtol**2 * total, beyond, squares) for rtol in rtols)], default=1)
        # the probes may be some percent off: the curve goes on a little beyond what they ask for
        if need + 1 + need // 16 <= reach or (modest and basis.size + b > MODEST):
            return Projected(basis, beyond), reach
        if need > basis.size:
            b = max(b, multiple_of_32(basis.size / 2))
        if blocks >= LEAST_BLOCKS - 1:
            # a Krylov space holds a repeated singular value at most as often as its first block is wide
            b += FRESH
        if m * n <= LAPACK_ENTRIES and basis.size + b > FULL_SHARE * n:
            return Full(matrix), n
        _require_basis(matrix, basis.size + b)
        basis.expand(b, fused=True)
        before, blocks = squares, blocks + 1
    noise = (16 * max(m, n) ** 0.5 * float(np.finfo(matrix.dtype).eps)) ** 2 * total
    if probes.beyond(basis) > noise:
        # the basis stopped for its own rounding, not for want of a matrix
        if m * n <= LAPACK_ENTRIES:
            return Full(matrix), n
        return Projected(basis, 0.0), min(_settled(before, basis.ritz_squares(), noise), basis.size - 1)
    basis.pad(1)
    return Projected(basis, 0.0), basis.size


def _settled(before: numpy.ndarray, squares: numpy.ndarray, beyond: float) -> int:
    """Up to which rank the last block changed next to nothing."""
    shared = min(len(before), len(squares))
    if not shared:
        return 0
    gain = np.cumsum(squares[:shared] - before[:shared])
    left = beyond + np.append(np.cumsum(squares[::-1])[::-1], 0.0)[1 : shared + 1]
    noise = squares[0] * len(squares) * float(np.finfo(squares.dtype).eps)
    bad = np.flatnonzero(gain > np.maximum(_GAIN * left, noise))
    return int(bad[0]) if len(bad) else shared


def _measured(source: Source, scaled: Scaled, reach: int, transposed: bool) -> Curve:
    """The curve with its end measured, one pass."""
    K = len(source.squares())
    U, s, V = source.triplets(K)
    error = residual(scaled.matrix, signed(V, s, U) if transposed else signed(U, s, V))
    values = s[:K].astype(np.float64)
    tails = np.append(np.cumsum(np.square(values)[::-1])[::-1], 0.0)
    squares = tails + float(np.ldexp(error.squares, 2 * error.exponent))
    norm = scaled.squares**0.5 or 1.0
    eps = float(np.finfo(scaled.matrix.dtype).eps)
    # the identity may add up to more than the whole by a few eps
    errors = np.minimum(np.sqrt(squares) / norm, 1.0)
    # Ritz values never exceed singular values; each is known to a few eps of the largest
    known = np.sqrt(tails) - 4 * eps * K**0.5 * float(values[0])
    lower = np.minimum(np.where(tails > source.noise, np.maximum(known, 0.0), 0.0) / norm, errors)
    rounding = 4 * max(scaled.matrix.shape) ** 0.5 * eps
    return Curve(errors, lower, min(reach, K), reach >= K, rounding, source.kernels)


def _require_basis(matrix: Metered | Adjoint, columns: int) -> None:
    m, n = matrix.shape
    need = 2 * columns * (m + n) * np.dtype(matrix.dtype).itemsize
    require(need, f"a Krylov basis of {columns} columns for a {m}x{n} matrix", "loosen --rtol, or ask for fewer bytes")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What ``approx --method svd --rank k`` with its defaults will take.

    driver: "lapack" or "block krylov". passes: least, usual and most; all three equal for LAPACK, while a Krylov basis
    grows until it is good: usual is what four blocks take, least what a matrix of very low rank does. memory: bytes of
    arrays at the peak with the matrix, for the usual passes. products: flops of products with the matrix; dense: flops
    of other products of dense blocks; the decomposition by LAPACK is in neither.
    """

    driver: str
    least: int
    usual: int
    most: int
    memory: int
    products: float
    dense: float


def predict(shape: tuple[int, int], entries: int, matrix_bytes: int, itemsize: int, rank: int) -> Prediction:
    """The prediction from shapes alone. entries: stored ones; matrix_bytes: of the matrix in memory while computing;
    itemsize: of a value we compute with."""
    m, n = shape
    options = SVDOptions()
    seen: Any = types.SimpleNamespace(shape=shape)
    side = min(shape)
    factors = 2 * rank * (m + n) * itemsize
    last = 2.0 * m * n * rank
    if wants_lapack(seen, rank, options):
        # the sweep, the whole, the residual; LAPACK's copy, vectors twice, and its workspace
        memory = matrix_bytes + itemsize * (4 * m * n + 6 * side**2) + factors
        return Prediction("lapack", 3, 3, 3, memory, 0.0, last)
    b, fresh = width(rank, options), FRESH
    # sweep and residual; sketch and fused product; a fused product a block; the last block, with fresh columns
    usual, columns = 2 + 2 + (LEAST_BLOCKS - 2) + 2, 2 * LEAST_BLOCKS * b + 2 * fresh
    # a fresh sketch in each early block that lost columns, and filling up to the rank
    most = usual + (LEAST_BLOCKS - 2) + 1
    size, blocks = LEAST_BLOCKS * b + fresh, LEAST_BLOCKS
    while blocks < options.max_blocks and size < side:
        blocks += 1
        size += b + (blocks - LEAST_BLOCKS + 1) * fresh
        most += 3
    held = min(LEAST_BLOCKS * b + fresh, side)
    memory = matrix_bytes + 2 * (m + n) * held * itemsize + factors
    return Prediction("block krylov", 4, usual, most, memory, 2.0 * entries * columns, last + 6.0 * (m + n) * held**2)
