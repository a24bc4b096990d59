"""A digest of the values of a matrix: the same for every file, storage order and byte order that holds them."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any

from ..lazy import np

if TYPE_CHECKING:
    from .protocols import Matrix


def digest(matrix: Matrix, dtype: str) -> str:
    """``"crc32-tiles:..."``: SHA-256 over shape, stored dtype and the CRC-32 of each tile in C order; one read,
    or none where a pass has found these already.

    A sparse matrix hashes its row pointer, indices and values, so it differs from the same values stored dense.
    """
    checks = _checksums(matrix)
    text = f"{matrix.shape[0]}x{matrix.shape[1]}|{dtype}|" + ",".join(f"{c:08x}" for c in checks)
    return "crc32-tiles:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _checksums(matrix: Matrix) -> list[int]:
    if matrix.nnz is not None:
        stored: Any = matrix
        pointer = zlib.crc32(stored.row_pointer.astype(np.int64).data)
        indices = data = 0
        for _, part in stored.row_parts():
            indices = zlib.crc32(part.indices.astype(np.int64).data, indices)
            data = zlib.crc32(np.ascontiguousarray(part.data).data, data)
        return [pointer, indices, data]
    sums = getattr(matrix, "sums", None)
    if sums is not None and np.all(sums >= 0):
        # every pass over a file takes them
        return sums.reshape(-1).tolist()
    return matrix.tiles(lambda _, rows, cols, tile: zlib.crc32(np.ascontiguousarray(tile).data))
