"""From chosen columns to the factors: C Z, W R or W S Z."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..factors.base import dense
from ..factors.interpolative import ColumnID, RowID, TwoSidedID
from ..kernels import interpolation, pivoting
from ..lazy import np
from ..matrices.adjoint import adjoint_of
from ..matrices.dense import TiledMatrix
from ..matrices.metered import Metered
from .id_exchange import limit_coefficients
from .id_selection import Selection

if TYPE_CHECKING:
    import numpy


def factor_of(
    chosen: Selection, k: int, source: Metered, axis: str, limit: float | None, like: Any = None
) -> ColumnID | RowID | TwoSidedID:
    """The factorization by the first k chosen columns (rows), read from source.

    limit: that of the coefficients of W where both are chosen. like: the factorization of the same matrix on another
    scale, which has the same coefficients.
    """
    n = chosen.B.shape[1]
    k = k if like is None else like.rank
    if len(chosen.pivots):
        pivots = chosen.pivots[:k]
        Z = interpolation.coefficients(chosen.B[:k], pivots, compiled=chosen.compiled)
    else:
        # a zero matrix: any column will do
        pivots, Z = np.zeros(1, np.int64), np.zeros((1, n), chosen.B.dtype)
        Z[0, 0] = 1
    if axis == "rows":
        return RowID(rows=pivots, R=source.rows(pivots), W=np.ascontiguousarray(Z.conj().T))
    C = source.cols(pivots)
    if axis == "cols":
        return ColumnID(cols=pivots, C=C, Z=Z)
    if like is not None:
        return TwoSidedID(like.rows, pivots, like.W, _rows(C, like.rows), Z)
    rows, W = _rows_of(C, source, limit)
    if len(rows) < len(pivots) and len(pivots) > 1:
        # rows tell fewer of these columns apart
        return factor_of(chosen, max(1, len(rows)), source, axis, limit)
    return TwoSidedID(rows, pivots, W, _rows(C, rows), Z)


def _rows(C: Any, rows: numpy.ndarray) -> Any:
    return C[rows] if hasattr(C, "indptr") else np.ascontiguousarray(C[rows])


def _rows_of(C: Any, source: Metered, limit: float | None) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(rows, W) with C = W C[rows, :], as many rows as C (m, k) has independent columns. Cost: 4 m k^2 flops."""
    H = dense(adjoint_of(C))
    qr = pivoting.pivoted_qr(H, len(H))
    if not len(qr.pivots):
        W = np.zeros((H.shape[1], 1), H.dtype)
        W[0, 0] = 1
        return np.zeros(1, np.int64), W
    pivots, B = qr.pivots, qr.R
    if limit is not None:
        chosen, _ = limit_coefficients(Metered(TiledMatrix(H, source.engine)), pivots, limit)
        pivots, B = chosen.pivots, chosen.B
    Z = interpolation.coefficients(B, pivots)
    return pivots, np.ascontiguousarray(Z.conj().T)


def coefficients(factor: Any) -> list[numpy.ndarray]:
    """The interpolation coefficients of a factorization: Z, W, or both."""
    arrays = factor.arrays()
    return [arrays[name] for name in ("W", "Z") if name in arrays]
