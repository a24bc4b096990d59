"""What a method for positive semidefinite matrices must know first: that the matrix is symmetric; its diagonal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np
from ..matrices.grid import ranges
from ..matrices.metered import Metered

if TYPE_CHECKING:
    import numpy

#: How far a_ij and conj(a_ji) may be apart, in units of sqrt(n) eps max|a|: what rounding does to a product X^H X.
_ROUNDING = 8.0


def check_symmetric(matrix: Metered, largest: float) -> None:
    """Raise UsageError unless A = A^H but for rounding, with the place and the size of the worst pair. One pass.

    largest: max |a_ij|.
    """
    m, n = matrix.shape
    if m != n:
        raise UsageError(f"nystrom takes a symmetric matrix, not {m}x{n}", hint="use --method svd or qb")
    if getattr(matrix.inner, "symmetric", False):
        return
    worst, i, j = _worst_sparse(matrix) if matrix.nnz is not None else _worst_dense(matrix)
    limit = _ROUNDING * math.sqrt(n) * float(np.finfo(matrix.dtype).eps) * largest
    if worst > limit:
        raise UsageError(
            f"the matrix is not symmetric, which --method nystrom needs: row {i}, column {j} (counted from 0) and its "
            f"mirror image are {worst / largest:.3g} of the largest entry apart",
            hint="use --method svd or qb, or symmetrize it",
        )


def _worst_dense(matrix: Metered) -> tuple[float, int, int]:
    def look(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> tuple[float, int, int]:
        if cols.start < rows.start:
            return 0.0, 0, 0
        apart = np.abs(tile - matrix.inner.block(cols, rows).conj().T)
        i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
        return float(apart[i, j]), rows.start + int(i), cols.start + int(j)

    return max(matrix.tiles(look), key=lambda found: found[0])


def _worst_sparse(matrix: Metered) -> tuple[float, int, int]:
    stored: Any = matrix.inner
    matrix.ledger.passes += 1
    apart = abs(stored.array - stored.array.conj().T).tocoo()
    if not apart.nnz:
        return 0.0, 0, 0
    at = int(np.argmax(apart.data))
    i, j = int(apart.coords[0][at]), int(apart.coords[1][at])
    return float(apart.data[at]), min(i, j), max(i, j)


def diagonal(matrix: Metered) -> numpy.ndarray:
    """The real diagonal, float64; single entries, not a pass."""
    stored: Any = matrix.inner
    if matrix.nnz is not None:
        return stored.array.diagonal().real.astype(np.float64)
    parts = ranges(matrix.grid[0])
    blocks = matrix.engine.map(lambda i: matrix.block(parts[i], parts[i]).diagonal().real.copy(), len(parts))
    return np.concatenate(blocks).astype(np.float64)


def not_semidefinite(what: str) -> UsageError:
    """The refusal of a matrix with negative eigenvalues beyond rounding."""
    return UsageError(
        f"the matrix is not positive semidefinite, which --method nystrom needs: {what}",
        hint="use --method svd or qb",
    )
