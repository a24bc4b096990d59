"""Chosen columns and rows of a matrix put together: their orthonormal bases, and the core between these."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..factors.cur import basis
from ..kernels.basis_rows import growth
from ..lazy import np
from ..matrices import blocks
from ..matrices.adjoint import Adjoint
from .bases import Grown, tall, to_tolerance
from .id_selection import DIRECT_ENTRIES, SMALL_ENTRIES, SMALL_SIDE, deeper
from .krylov import BlockKrylov, multiple_of_32
from .probes import Probes
from .selection import Choice, pivoted_basis, pivoted_matrix
from .tolerance import rank_for

if TYPE_CHECKING:
    import numpy

    from ..matrices.metered import Metered
    from ..streams import Streams
    from .assessment import Assessor
    from .scaling import Scaled


@dataclasses.dataclass(frozen=True, eq=False)
class Cross:
    """A ~ Q_C G Q_R^H with C = A[:, cols] = Q_C R_C and R^H = A[rows, :]^H = Q_R R_R.

    Leading blocks belong to the first columns and rows, if the core is optimal: G = Q_C^H A Q_R. growth: of an
    intersection core, by how much it may enlarge the error of projecting on the columns (rows, where these are fewer).
    """

    choice: Choice
    cols: numpy.ndarray
    rows: numpy.ndarray
    Q_C: numpy.ndarray
    Q_R: numpy.ndarray
    R_C: numpy.ndarray
    R_R: numpy.ndarray
    G: numpy.ndarray
    growth: float | None = None

    def gains(self) -> numpy.ndarray:
        """By how much the squared error, |A|^2 - |G[:k, :k]|^2, falls from k columns and rows to k + 1."""
        squares = np.square(np.abs(self.G).astype(np.float64))
        return np.array([squares[k, : k + 1].sum() + squares[:k, k].sum() for k in range(min(squares.shape))])


def cross(matrix: Metered, choice: Choice) -> Cross:
    """With the optimal core G = Q_C^H A Q_R; one pass, 2 m n min(c, r) flops."""
    cols, rows, (Q_C, R_C), (Q_R, R_R) = _skeleton(matrix, choice)
    if len(rows) <= len(cols):
        G = blocks.cross(Q_C, matrix.matmat(Q_R), matrix.engine)
    else:
        G = blocks.cross(matrix.rmatmat(Q_C), Q_R, matrix.engine)
    return Cross(choice, cols, rows, Q_C, Q_R, R_C, R_R, G)


def interpolated(matrix: Metered, choice: Choice) -> Cross:
    """With the intersection core U = A[rows, cols]^+, from the columns and rows alone.

    For r >= c, A[rows, cols]^+ = R_C^-1 Q_C[rows, :]^+, so G = Q_C[rows, :]^+ R_R^H: the condition of C does not enter.
    Singular values of Q_C[rows, :] at rounding count as zero.
    """
    cols, rows, (Q_C, R_C), (Q_R, R_R) = _skeleton(matrix, choice)
    if len(rows) >= len(cols):
        G = _pinv(Q_C[rows]) @ R_R.conj().T
        grows = growth(Q_C, rows)
    else:
        G = R_C @ _pinv(Q_R[cols]).conj().T
        grows = growth(Q_R, cols)
    return Cross(choice, cols, rows, Q_C, Q_R, R_C, R_R, np.ascontiguousarray(G), grows)


def _skeleton(
    matrix: Metered, choice: Choice
) -> tuple[numpy.ndarray, numpy.ndarray, tuple[numpy.ndarray, numpy.ndarray], tuple[numpy.ndarray, numpy.ndarray]]:
    """cols, rows, and the factors of both; of a zero matrix any column and row will do."""
    cols, rows = (chosen if len(chosen) else np.zeros(1, np.int64) for chosen in (choice.cols, choice.rows))
    engine = matrix.engine
    return cols, rows, basis(matrix.cols(cols), engine), basis(Adjoint(matrix).cols(rows), engine)


def _pinv(B: numpy.ndarray) -> numpy.ndarray:
    return np.linalg.pinv(np.ascontiguousarray(B), rcond=max(B.shape) * float(np.finfo(B.dtype).eps))


def cross_to_tolerance(scaled: Scaled, assess: Assessor, target: float, cap: int | None, streams: Streams) -> Cross:
    """Pivots on both sides, as many, that reach the squared error ``target`` with some to spare.

    The basis, and the number of its pivots, grow as for an interpolative decomposition: the projection proposes a
    number, and stored probes say whether the columns and rows themselves are enough. A small matrix gives all it has.
    """
    matrix = scaled.matrix
    m, n = matrix.shape
    most = cap or min(m, n)
    if m * n <= SMALL_ENTRIES and min(m, n) <= SMALL_SIDE:
        return _pivoting_all(matrix, most)
    grown = to_tolerance(scaled, assess, target, cap, streams)
    if grown is None and m * n <= DIRECT_ENTRIES:
        return _pivoting_all(matrix, most)
    if grown is None:
        grown = Grown(BlockKrylov(tall(matrix), streams), beyond=scaled.squares)
        grown.basis.start(multiple_of_32(min(m, n) / 4), fused=True)
    target *= assess.margin
    probes, reach = Probes(matrix, streams), 0
    while True:
        size = grown.basis.size
        choice, trail = pivoted_basis(scaled, grown, size, size)
        proposed = rank_for(target, 2 * grown.beyond + float(trail[-1]), trail[:-1] - trail[1:])
        reach = max(reach, proposed + proposed // 8 + 8)
        last = grown.basis.exhausted or (cap is not None and 0.75 * size > cap)
        available = min(len(choice.cols), len(choice.rows), most)
        while last or reach <= 0.75 * size:
            made = cross(matrix, _even(choice, min(reach, available)))
            left = _left(made, probes)
            if left <= 0.8 * target or (last and reach >= available):
                break
            reach += reach // 4 + 8
        else:
            grown = deeper(grown, streams)
            continue
        short = left > target and len(made.cols) < most
        return _pivoting_all(matrix, most) if short and m * n <= DIRECT_ENTRIES else made


def _pivoting_all(matrix: Metered, k: int) -> Cross:
    """Up to k pivots of the matrix itself."""
    return cross(matrix, _even(pivoted_matrix(matrix, k, k), k))


def _even(choice: Choice, k: int) -> Choice:
    """At most k columns, and as many rows."""
    k = min(k, len(choice.cols), len(choice.rows))
    return dataclasses.replace(choice, cols=choice.cols[:k], rows=choice.rows[:k])


def _left(made: Cross, probes: Probes) -> float:
    """Estimated squared Frobenius error."""
    left = probes.AG - made.Q_C @ (made.G @ (made.Q_R.conj().T @ probes.G))
    return float(np.sum(np.square(np.abs(left).astype(np.float64)))) / probes.COUNT
