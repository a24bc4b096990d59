"""What a record batch of an Arrow file says of itself: its rows, and the bytes that it takes when it is expanded.

Of the format (Arrow columnar format, encapsulated messages) as little as that needs: a message is a flatbuffer table
whose header is the table of the batch, which lists the places of its buffers in the body; of a compressed batch each
buffer begins with the size it expands to, -1 where it is stored as it is.
"""

from __future__ import annotations

import struct
from typing import Any

_HEADER, _LENGTH, _BUFFERS, _COMPRESSION = 2, 0, 2, 3


class Batch:
    """rows: of the batch. expanded: bytes of all its buffers. Raises ValueError where its metadata are damaged."""

    def __init__(self, metadata: Any, body: Any):
        self._data = memoryview(metadata)
        message = self._int("I", 0)
        batch = self._table(message, _HEADER)
        at = self._field(batch, _LENGTH)
        self.rows = self._int("q", at) if at else 0
        packed = self._field(batch, _COMPRESSION) != 0
        self.expanded = 0
        size = 0 if body is None else body.size
        for place, length in self._pairs(batch, _BUFFERS):
            if place < 0 or length < 0 or place + length > size:
                raise ValueError("a buffer that lies outside of its message")
            said = struct.unpack_from("<q", memoryview(body), place)[0] if packed and length >= 8 else -1
            self.expanded += length if said < 0 else said
        if self.rows < 0:
            raise ValueError("a batch of fewer than no rows")

    def _int(self, kind: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(kind):
            raise ValueError("metadata that point outside of themselves")
        return int(struct.unpack_from("<" + kind, self._data, at)[0])

    def _field(self, table: int, number: int) -> int:
        """Where a field of a table stands, 0 for one that is left out."""
        names = table - self._int("i", table)
        place = 4 + 2 * number
        inside = self._int("H", names + place) if place < self._int("H", names) else 0
        return table + inside if inside else 0

    def _table(self, table: int, number: int) -> int:
        at = self._field(table, number)
        if not at:
            raise ValueError("a message without its header")
        return at + self._int("I", at)

    def _pairs(self, table: int, number: int) -> list[tuple[int, int]]:
        at = self._field(table, number)
        if not at:
            return []
        start = at + self._int("I", at)
        count = self._int("I", start)
        if 16 * count > len(self._data):
            raise ValueError("a list that is longer than its message")
        return [(self._int("q", start + 4 + 16 * i), self._int("q", start + 12 + 16 * i)) for i in range(count)]
