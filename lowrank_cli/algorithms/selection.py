"""Which columns and rows stand for a matrix, in the order they are chosen."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..factors.cur import basis
from ..kernels import basis_rows, jit, pivoting
from ..lazy import np
from ..matrices.adjoint import Adjoint
from .bases import LEAST_BLOCKS, Grown, for_rank, require_basis, tall, width
from .id_selection import BLOCKS, DIRECT_ENTRIES, SMALL_ENTRIES, SMALL_SIDE, projection
from .svd import SVDOptions, wants_lapack
from .svd_sources import Full, Refined

if TYPE_CHECKING:
    import numpy

    from ..matrices.metered import Metered
    from ..streams import Streams
    from .scaling import Scaled

#: Rounding of the sum of squared singular values, in units of eps sqrt(max(m, n)) |A|^2.
_ROUNDING = 16.0


@dataclasses.dataclass(frozen=True, eq=False)
class Vectors:
    """Orthonormal U (m, q) and V (n, q) near the leading singular vectors of the scaled matrix.

    s: |A V_k|_F^2 and |U_k^H A|_F^2 are at least the sum of the first k of s^2. all_known: s are all singular values,
    and the vectors are those of LAPACK. squares: |A|_F^2. blur: rounding of a sum of s^2, relative to it.
    """

    U: numpy.ndarray
    V: numpy.ndarray
    s: numpy.ndarray
    all_known: bool
    squares: float
    blur: float

    def outside(self, k: int, spectral: bool = False) -> float:
        """A bound of |A - A V_k V_k^H| and of |A - U_k U_k^H A|, in the Frobenius or the spectral norm."""
        squares = np.square(self.s.astype(np.float64))
        if not self.all_known:
            # |A|_F^2 less what the vectors hold; of the spectral norm no more is known
            return math.sqrt(max(self.squares - float(np.sum(squares[:k])), 0.0) + self.blur * self.squares)
        left = float(np.sum(squares[k : k + 1] if spectral else squares[k:]))
        return math.sqrt(left) + self.blur * math.sqrt(self.squares)


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Columns and rows, int64, in the order chosen; what chose them; and the vectors they were chosen by."""

    cols: numpy.ndarray
    rows: numpy.ndarray
    kernels: tuple[str, ...]
    vectors: Vectors | None = None


def pivoted(scaled: Scaled, c: int, r: int, streams: Streams) -> Choice:
    """The pivots of the matrix and of its adjoint, as an interpolative decomposition takes them: of the matrix itself
    where it is small, else of its projection on the Krylov space that both share."""
    m, n = scaled.matrix.shape
    if m * n <= SMALL_ENTRIES and min(m, n) <= SMALL_SIDE:
        return pivoted_matrix(scaled.matrix, c, r)
    require_basis(scaled.matrix, BLOCKS * width(max(c, r)))
    found = pivoted_basis(scaled, for_rank(scaled, max(c, r), streams, blocks=BLOCKS), c, r)[0]
    if (len(found.cols) < c or len(found.rows) < r) and m * n <= DIRECT_ENTRIES:
        return pivoted_matrix(scaled.matrix, c, r)
    return found


def pivoted_matrix(matrix: Metered, c: int, r: int) -> Choice:
    """Pivots of the matrix itself; one reading."""
    A = matrix.whole()
    by_cols, ran = _pivots(A, c)
    by_rows, also = _pivots(A.conj().T, r)
    return Choice(by_cols.pivots, by_rows.pivots, tuple(dict.fromkeys((ran, also))))


def pivoted_basis(scaled: Scaled, grown: Grown, c: int, r: int) -> tuple[Choice, numpy.ndarray]:
    """Pivots of the projection, and the squared errors that it forecasts for k = 0, 1, ... of each."""
    upright = not isinstance(tall(scaled.matrix), Adjoint)
    by_cols, ran = _pivots(projection(grown, upright), c)
    by_rows, also = _pivots(projection(grown, not upright), r)
    least = min(len(by_cols.trail), len(by_rows.trail))
    trail = np.square(by_cols.trail[:least]) + np.square(by_rows.trail[:least])
    choice = Choice(by_cols.pivots, by_rows.pivots, tuple(dict.fromkeys((ran, also))))
    return choice, np.ldexp(trail, 2 * grown.exponent)


def _pivots(Y: numpy.ndarray, k: int) -> tuple[pivoting.PivotedQR, str]:
    use = jit.pays(pivoting.seconds_saved(*Y.shape, k))
    return pivoting.pivoted_qr(Y, k, compiled=use), f"pivoted_qr {jit.flavour(use)}"


def by_vectors(scaled: Scaled, rule: str, c: int, r: int, streams: Streams) -> Choice:
    """Columns by the leading right singular vectors, rows by the left ones; see ``kernels.basis_rows`` for the rules.

    Fewer than asked for when the matrix has no more independent ones.
    """
    vectors, kernels = _vectors(scaled, max(c, r), streams)
    # vectors of values that are rounding say nothing
    floor = max(scaled.matrix.shape) * float(np.finfo(vectors.s.dtype).eps) * float(vectors.s[0])
    real = max(1, int(np.count_nonzero(vectors.s > floor)))
    cols = _chosen(rule, "columns", vectors.V[:, : min(c, real)], scaled.matrix.cols, streams)
    rows = _chosen(rule, "rows", vectors.U[:, : min(r, real)], Adjoint(scaled.matrix).cols, streams)
    return Choice(cols, rows, (*kernels, rule), vectors)


def _vectors(scaled: Scaled, k: int, streams: Streams) -> tuple[Vectors, list[str]]:
    matrix, work = scaled.matrix, tall(scaled.matrix)
    source: Full | Refined
    if wants_lapack(matrix, k, SVDOptions()):
        source = Full(work)
        U, s, V = source.triplets(k)
        s = source.s
    else:
        require_basis(matrix, LEAST_BLOCKS * width(k))
        source = Refined(work, for_rank(scaled, k, streams), math.sqrt(scaled.squares))
        U, s, V = source.triplets(k)
    if isinstance(work, Adjoint):
        U, V = V, U
    U, V = np.ascontiguousarray(U), np.ascontiguousarray(V)
    blur = _ROUNDING * float(np.finfo(s.dtype).eps) * math.sqrt(max(matrix.shape))
    return Vectors(U, V, s, isinstance(source, Full), scaled.squares, blur), source.kernels


def _chosen(
    rule: str, what: str, V: numpy.ndarray, read: Callable[[numpy.ndarray], numpy.ndarray], streams: Streams
) -> numpy.ndarray:
    """Rows of V, as many as it has columns, of which ``read`` gives independent columns of the matrix."""
    n, k = V.shape
    if rule == "deim":
        return _independent(basis_rows.deim(V), read)
    draw = streams.generator(f"cur {rule} {what}")
    if rule == "adaptive":
        return _independent(basis_rows.adaptive(V, draw.random(k)), read)
    order, taken = basis_rows.leverage_order(V, draw.standard_exponential(n)), np.empty(0, np.int64)
    # a column that those drawn before it span is passed over
    while len(taken) < k and len(order):
        more = k - len(taken)
        taken, order = _independent(np.concatenate([taken, order[:more]]), read), order[more:]
    return taken


def _independent(chosen: numpy.ndarray, read: Callable[[numpy.ndarray], numpy.ndarray]) -> numpy.ndarray:
    """Those of the columns chosen that are independent to rounding, in their order; never none."""
    R = basis(read(chosen))[1]
    kept = np.sort(pivoting.pivoted_qr(R, len(R)).pivots)
    return chosen[kept] if len(kept) else chosen[:1]
