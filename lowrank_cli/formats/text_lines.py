"""Bytes of a text table as texts of whole lines, in bounded memory, each with the number of its first line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from ..errors import InputError

#: Bytes read at a time, and the longest line: a table of a million columns has lines of some megabytes.
CHUNK = 1 << 21
LINE_CAP = 1 << 26
_EMPTY = ("is empty", "remove it, or fill in its values")
BOM = b"\xef\xbb\xbf"


class TextLines:
    """The lines of one input, read once from the front: first one by one, then in texts of whole lines.

    Lines end with LF or CR LF. Comment lines (``#``) and empty lines at the front are passed over by ``first``.
    """

    def __init__(self, source: Any, where: str):
        self.where = where
        self.number = 0
        self._source = source
        #: What was read and not given away, from _at on.
        self._tail, self._at = b"", 0
        self._tail = self._read().removeprefix(BOM)

    def _read(self) -> bytes:
        block = self._source.read(CHUNK)
        if not self.number and block.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError("is UTF-16 text", where=self.where, hint="convert it to UTF-8")
        if b"\0" in block:
            raise InputError("holds bytes that are no text", where=self.where)
        return block

    def first(self, count: int) -> list[tuple[int, bytes]]:
        """Number and text of the first ``count`` lines with something in them; fewer at the end of the input."""
        found: list[tuple[int, bytes]] = []
        empty = 0
        while len(found) < count:
            line = self._next()
            if line is None:
                break
            if not line.strip():
                empty = empty or (self.number if found else 0)
            elif found or not line.lstrip().startswith(b"#"):
                if empty:
                    refuse(self.where, empty, *_EMPTY)
                found.append((self.number, line))
        return found

    def _next(self) -> bytes | None:
        end = self._tail.find(b"\n", self._at)
        if end < 0:
            self._hold()
            end = self._tail.find(b"\n")
        if end < 0 and not self._tail:
            return None
        stop = len(self._tail) if end < 0 else end
        line = self._tail[self._at : stop]
        # nothing is moved: there may be a million comments in front
        self._at = min(stop + 1, len(self._tail))
        self.number += 1
        return line.removesuffix(b"\r")

    def texts(self) -> Iterator[tuple[int, list[bytes]]]:
        """The rest, as lists of lines; empty lines at the very end are left out, elsewhere they are refused."""
        empty = 0
        for lines in self._blocks():
            start = self.number + 1
            self.number += len(lines)
            if empty and any(line.strip() for line in lines):
                refuse(self.where, empty, *_EMPTY)
            while lines and not lines[-1].strip():
                lines.pop()
                empty = start + len(lines)
            if lines:
                yield start, lines

    def _blocks(self) -> Iterator[list[bytes]]:
        while True:
            cut = self._tail.rfind(b"\n", self._at) + 1
            if cut:
                lines = self._tail[self._at : cut].replace(b"\r\n", b"\n").split(b"\n")[:-1]
                self._at = cut
                yield lines
            if not self._hold():
                break
        if self._tail:
            yield [self._tail.removesuffix(b"\r")]
            self._tail = b""

    def _hold(self) -> bool:
        """Read on to the next line end, or the end of the input; whether anything came. Joined once, since a pipe gives
        a long line in a thousand parts."""
        parts = [self._tail[self._at :]]
        length, block = len(parts[0]), b""
        while b"\n" not in block:
            if length > LINE_CAP:
                refuse(self.where, self.number + 1, f"is longer than {LINE_CAP >> 20} MiB")
            block = self._read()
            if not block:
                break
            parts.append(block)
            length += len(block)
        self._tail, self._at = b"".join(parts), 0
        return len(parts) > 1


def refuse(where: str, line: int, what: str, hint: str | None = None) -> NoReturn:
    """Raise InputError about one line: "line 3 has 4 fields"."""
    raise InputError(f"line {line} {what}", where=where, hint=hint)


def refuse_field(where: str, line: int, column: str, what: str, hint: str | None = None) -> NoReturn:
    """Raise InputError about one field: "line 3, column 2 ('Ozone'): missing value 'NA'"."""
    raise InputError(f"line {line}, {column}: {what}", where=where, hint=hint)
