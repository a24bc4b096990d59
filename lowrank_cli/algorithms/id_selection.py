"""Which columns an interpolative decomposition is made of: pivots of the matrix, of a Krylov basis or of a sketch."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..factors.base import dense
from ..kernels import jit, pivoting
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.blocks import times
from ..matrices.dense import SINGLE, TiledMatrix
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .assessment import Assessor
from .bases import Grown, for_rank, require_basis, tall, to_tolerance
from .id_limits import Limits, pivots_within
from .krylov import BlockKrylov, multiple_of_32
from .probes import Probes
from .scaling import Scaled
from .tolerance import rank_for

if TYPE_CHECKING:
    import numpy

#: Pivot the matrix itself up to this many entries and this smaller side; above, pivot a sketch.
SMALL_ENTRIES, SMALL_SIDE = 1_000_000, 500
#: Blocks of the Krylov space that is pivoted: it then chooses about as well as pivoting A (docs/decisions/0003).
BLOCKS = 3
#: A sketch cannot see columns below its rounding; up to this many entries the matrix itself is pivoted then.
DIRECT_ENTRIES = 16_000_000
#: Rows of a sketch that gives the coefficients too: a multiple of the rank, and more.
_SKETCH_SHARE, _SKETCH_MORE = 1.5, 16


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """Columns in the order they were chosen, and B = Q^H A for Q an orthonormal basis of the first j of them, any j.

    B (K, n), with B[:, pivots] upper triangular; gains (K,) the squared norms of its rows, by which the squared error
    falls from one column to the next; beyond estimates the squared error that is left after all K. image: what stands
    for A in all this, A itself or a sketch of it. drawn: whether random numbers had a say.
    """

    pivots: numpy.ndarray
    B: numpy.ndarray
    gains: numpy.ndarray
    beyond: float
    compiled: bool
    image: Metered | Adjoint
    drawn: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Wish:
    """What selections are made for: work is the matrix whose columns are chosen, scaled.matrix or its adjoint.

    limits: columns to choose or to leave, None for none; fast: by a sketch, which gives the coefficients too.
    """

    scaled: Scaled
    work: Metered | Adjoint
    limits: Limits | None
    fast: bool

    @property
    def along(self) -> bool:
        """Whether the columns wanted are those of the tall matrix that has the basis, not its rows."""
        return isinstance(self.work, Adjoint) == isinstance(tall(self.scaled.matrix), Adjoint)


def is_small(shape: tuple[int, int]) -> bool:
    """Whether pivoting the matrix itself is the better way."""
    return math.prod(shape) <= SMALL_ENTRIES and min(shape) <= SMALL_SIDE


def for_a_rank(wish: Wish, rank: int | None, streams: Streams) -> Selection:
    """At most so many columns."""
    if is_small(wish.work.shape):
        return pivot_matrix(wish, rank)
    k = rank or 1
    if wish.fast:
        return _pivot_small_sketch(wish, k, streams)
    return pivot_basis(wish, k, for_rank(wish.scaled, k, streams, blocks=BLOCKS))


def for_a_tolerance(wish: Wish, assess: Assessor, target: float, cap: int | None, streams: Streams) -> Selection:
    """Columns enough, and perhaps more, for a squared error of target; at most cap."""
    if is_small(wish.work.shape):
        return pivot_matrix(wish, cap)
    if wish.fast:
        return _sketch_to_tolerance(wish, target * assess.margin, cap, streams)
    return _pivot_to_tolerance(wish, assess, target, cap, streams)


def pivot_matrix(wish: Wish, rank: int | None) -> Selection:
    """Pivots of the matrix itself; a pass, and one more where columns are to be chosen or left."""
    m, n = wish.work.shape
    A = wish.work.whole()
    k = rank or min(m, n)
    use = jit.pays(pivoting.seconds_saved(m, n, k))
    if wish.limits is not None:
        pivots, trail = pivots_within(A, k, wish.limits, use)
        chosen = least_squares(wish.work, pivots, use)
        return dataclasses.replace(chosen, beyond=float(trail[-1]) ** 2, drawn=False)
    qr = pivoting.pivoted_qr(A, k, compiled=use)
    return _selection(qr.pivots, qr.R, float(qr.trail[-1]) ** 2, use, wish.work, drawn=False)


def _selection(
    pivots: numpy.ndarray, B: numpy.ndarray, beyond: float, compiled: bool, image: Metered | Adjoint, drawn: bool = True
) -> Selection:
    gains = np.square(np.abs(B).astype(np.float64)).sum(axis=1)
    return Selection(pivots, B, gains, beyond, compiled, image, drawn)


def _pivots(Y: numpy.ndarray, k: int, limits: Limits | None, use: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
    """At most k pivots of Y, and the norm of what is left after each."""
    if limits is not None:
        return pivots_within(Y, k, limits, use)
    qr = pivoting.pivoted_qr(Y, k, compiled=use)
    return qr.pivots, qr.trail


def projection(grown: Grown, along: bool) -> numpy.ndarray:
    """An isometric image of A V V^H (along), whose columns pivot like those of A; else of its adjoint, W^H."""
    basis = grown.basis
    engine = basis.matrix.engine
    if not along:
        return np.ascontiguousarray(basis.W.dense().conj().T)
    if basis.W.dtype.itemsize == np.dtype(SINGLE.get(str(basis.W.dtype), basis.W.dtype)).itemsize:
        # W = Q diag(theta)^(1/2) T^H: squares of double precision tell all digits of single precision apart
        squares, T = basis.ritz()
        image = times(basis.V, T, engine) * np.sqrt(squares).astype(np.finfo(basis.V.dtype).dtype)
        return np.ascontiguousarray(image.conj().T)
    R = orthonormalize(basis.W.dense(), engine)[1]
    return np.ascontiguousarray(R @ basis.V.dense().conj().T)


def pivot_basis(wish: Wish, k: int, grown: Grown) -> Selection:
    """At most k pivots of the projection on a basis, or of the matrix itself where the basis has fewer."""
    m, n = wish.work.shape
    Y = projection(grown, wish.along)
    use = jit.pays(pivoting.seconds_saved(*Y.shape, k))
    pivots, _ = _pivots(Y, k, wish.limits, use)
    if len(pivots) < k and m * n <= DIRECT_ENTRIES:
        return pivot_matrix(wish, k)
    return least_squares(wish.work, pivots, use)


def least_squares(
    matrix: Metered | Adjoint, pivots: numpy.ndarray, compiled: bool, probes: Probes | None = None
) -> Selection:
    """B = Q^H A for the chosen columns: one pass. Probes estimate what is left of A outside their span."""
    n = matrix.shape[1]
    if not len(pivots):
        return _selection(pivots, np.zeros((0, n), matrix.dtype), 0.0, compiled, matrix)
    Q, R = orthonormalize(np.ascontiguousarray(dense(matrix.cols(pivots))), matrix.engine)
    B = np.ascontiguousarray(matrix.rmatmat(Q).conj().T)
    B[:, pivots] = np.triu(R)
    return _selection(pivots, B, 0.0 if probes is None else probes.outside(Q), compiled, matrix)


def _sketch(wish: Wish, l: int, streams: Streams) -> numpy.ndarray:
    """Omega^H A for l Gaussian columns, of length 1 in the mean: one pass."""
    work = wish.work
    Omega = gaussian(streams, "id sketch", work.shape[0], l, work.dtype, work.engine)
    Y = np.ascontiguousarray(work.rmatmat(Omega).conj().T)
    return np.multiply(Y, Y.real.dtype.type(l**-0.5), out=Y)


def _sketch_rows(k: int) -> int:
    return multiple_of_32(_SKETCH_SHARE * k + _SKETCH_MORE)


def _pivot_small_sketch(wish: Wish, k: int, streams: Streams) -> Selection:
    m, n = wish.work.shape
    chosen = _interpolate_sketch(wish, _sketch(wish, _sketch_rows(k), streams), k)
    return pivot_matrix(wish, k) if len(chosen.pivots) < k and m * n <= DIRECT_ENTRIES else chosen


def _interpolate_sketch(wish: Wish, Y: numpy.ndarray, k: int) -> Selection:
    """Columns of a sketch, interpolated in the sketch."""
    use = jit.pays(pivoting.seconds_saved(*Y.shape, k))
    image = Metered(TiledMatrix(Y, wish.work.engine))
    if wish.limits is not None:
        pivots, trail = pivots_within(Y, k, wish.limits, use)
        return dataclasses.replace(least_squares(image, pivots, use), beyond=float(trail[-1]) ** 2)
    qr = pivoting.pivoted_qr(Y, k, compiled=use)
    return _selection(qr.pivots, qr.R, float(qr.trail[-1]) ** 2, use, image)


def _sketch_to_tolerance(wish: Wish, target: float, cap: int | None, streams: Streams) -> Selection:
    """A sketch of growing size, until its pivots reach the tolerance with some to spare, and with rows to spare."""
    m, n = wish.work.shape
    l = max(64, _sketch_rows(0 if wish.limits is None else len(wish.limits.included)))
    while True:
        if 2 * l >= min(m, n) and m * n <= DIRECT_ENTRIES:
            return pivot_matrix(wish, cap)
        l = min(l, _sketch_rows(min(m, n)))
        most = min(cap or n, int((l - _SKETCH_MORE) / _SKETCH_SHARE))
        chosen = _interpolate_sketch(wish, _sketch(wish, l, streams), most)
        if chosen.beyond <= 0.25 * target or most == cap or l >= min(m, n):
            return chosen
        l *= 2


def _pivot_to_tolerance(wish: Wish, assess: Assessor, target: float, cap: int | None, streams: Streams) -> Selection:
    """Grow the basis, and the number of its pivots, until these reach the tolerance with some to spare.

    The projection misses what lies outside the basis, so it only proposes a number; the columns themselves, projected
    out of stored probes, say whether it is enough.
    """
    scaled, work, (m, n) = wish.scaled, wish.work, wish.work.shape
    grown = to_tolerance(scaled, assess, target, cap, streams)
    if grown is None and m * n <= DIRECT_ENTRIES:
        return pivot_matrix(wish, cap)
    if grown is None:
        grown = Grown(BlockKrylov(tall(scaled.matrix), streams), beyond=scaled.squares)
        grown.basis.start(multiple_of_32(min(m, n) / 4), fused=True)
    target *= assess.margin
    judges, reach = Probes(work, streams), 0
    while True:
        basis = grown.basis
        use = jit.pays(pivoting.seconds_saved(basis.size, n, basis.size))
        pivots, trail = _pivots(projection(grown, wish.along), basis.size, wish.limits, use)
        squares = np.ldexp(np.square(trail), 2 * grown.exponent)
        proposed = rank_for(target, grown.beyond + float(squares[-1]), squares[:-1] - squares[1:])
        reach = max(reach, proposed + proposed // 8 + 8)
        if wish.limits is not None:
            reach = max(reach, len(wish.limits.included))
        last = basis.exhausted or (cap is not None and 0.75 * basis.size > cap)
        while last or reach <= 0.75 * basis.size:
            most = min(len(pivots), cap or n)
            chosen = least_squares(work, pivots[: min(reach, most)], use, judges)
            if chosen.beyond <= 0.8 * target or (last and reach >= most):
                break
            reach += reach // 4 + 8
        else:
            grown = deeper(grown, streams)
            continue
        short = chosen.beyond > target and (cap is None or len(chosen.pivots) < cap)
        return pivot_matrix(wish, cap) if short and m * n <= DIRECT_ENTRIES else chosen


def deeper(grown: Grown, streams: Streams) -> Grown:
    """The basis with about twice the columns."""
    basis = grown.basis
    b = min(multiple_of_32(basis.size), basis.matrix.shape[1] - basis.size)
    require_basis(basis.matrix, basis.size + b)
    basis.expand(b, fused=True)
    beyond = Probes(basis.matrix, streams).beyond(basis)
    return dataclasses.replace(grown, beyond=math.ldexp(beyond, 2 * grown.exponent))
