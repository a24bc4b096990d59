"""A digest of the values of a matrix: the same for every file, storage order and byte order that holds them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..lazy import np
from .grid import cuts, ranges

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine
    from .protocols import Matrix


def digest(matrix: Matrix, dtype: str) -> str:
    """``"crc32-tiles:..."``: SHA-256 over shape, stored dtype and the CRC-32 of each tile in C order; one read,
    or none where a pass has found these already.

    A sparse matrix hashes its row pointer, indices and values, so it differs from the same values stored dense.
    """
    hash = _Hash(matrix.shape, dtype)
    hash.add(_checksums(matrix))
    return hash.digest()


class RowDigest:
    """The digest of a dense matrix whose rows come a few at a time, in order."""

    def __init__(self, shape: tuple[int, int], dtype: str, engine: Engine):
        self._hash, self._engine = _Hash(shape, dtype), engine
        self._cols = ranges(cuts(shape[1]))
        self._heights = iter([rows.stop - rows.start for rows in ranges(cuts(shape[0]))])
        self._left = next(self._heights)
        self._checks = [0] * len(self._cols)

    def add(self, rows: numpy.ndarray) -> None:
        """The next rows, in the dtype that is computed in."""
        while len(rows):
            part, rows = rows[: self._left], rows[self._left :]

            def check(j: int, part: numpy.ndarray = part) -> int:
                return zlib.crc32(np.ascontiguousarray(part[:, self._cols[j]]).data, self._checks[j])

            self._checks = self._engine.map(check, len(self._cols))
            self._left -= len(part)
            if not self._left:
                self._hash.add(self._checks)
                self._checks = [0] * len(self._cols)
                self._left = next(self._heights, 0)

    def digest(self) -> str:
        """Of all rows that have come, which must be all there are."""
        return self._hash.digest()


class _Hash:
    """What is made of the checksums, in order."""

    def __init__(self, shape: tuple[int, int], dtype: str):
        self._hash, self._comma = hashlib.sha256(f"{shape[0]}x{shape[1]}|{dtype}|".encode()), ""

    def add(self, checks: list[int]) -> None:
        self._hash.update((self._comma + ",".join(f"{c:08x}" for c in checks)).encode())
        self._comma = ","

    def digest(self) -> str:
        return "crc32-tiles:" + self._hash.hexdigest()[:32]


def _checksums(matrix: Matrix) -> list[int]:
    if matrix.nnz is not None:
        stored: Any = matrix
        if hasattr(stored, "checksums"):
            return stored.checksums()
        pointer = zlib.crc32(stored.row_pointer.astype(np.int64).data)
        indices = data = 0
        for _, part in stored.row_parts():
            indices = zlib.crc32(part.indices.astype(np.int64).data, indices)
            data = zlib.crc32(np.ascontiguousarray(part.data).data, data)
        return [pointer, indices, data]
    sums = getattr(matrix, "sums", None)
    if sums is not None and np.all(sums >= 0):
        # every pass over a file takes them
        return sums[0].reshape(-1).tolist()
    return matrix.tiles(lambda _, rows, cols, tile: zlib.crc32(np.ascontiguousarray(tile).data))


def crc32_joined(parts: Sequence[tuple[int, int]]) -> int:
    """The CRC-32 of bytes from those of their parts in order, each with its length.

    To the right of a part stand the bits of the next: it is multiplied by so many x modulo the polynomial, as zlib's
    crc32_combine does. Cost: the logarithm of the length in products of 32 steps.
    """
    total = 0
    for check, length in parts:
        total = _multiplied(total, _power(8 * length)) ^ check
    return total


#: The polynomial of CRC-32, its lowest power in the highest bit, and 1 in that order.
_POLYNOMIAL, _ONE = 0xEDB88320, 1 << 31


def _multiplied(a: int, b: int) -> int:
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


def _power(exponent: int) -> int:
    """x to that power."""
    result, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            result = _multiplied(result, square)
        square, exponent = _multiplied(square, square), exponent >> 1
    return result
