"""Reading the bytes of a MATLAB file forwards, plain or deflated, never beyond the element that holds them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from ..errors import InputError
from ..lazy import np
from .working import Conversion, require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

#: Bytes taken at a time: what is converted stays in cache, what is skipped is never held.
PIECE = 1 << 20
#: No deflate stream expands more than this.
EXPANSION = 1032


class Cursor:
    """``left`` bytes of a file, read once. Every read gives what was asked for, or is an InputError."""

    def __init__(self, file: BinaryIO, left: int, where: str):
        self.left = left
        self.where = where
        self._file = file

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes; more than there are is an InputError before anything is read."""
        if size > self.left:
            self.refuse(f"an element of {size} bytes in {self.left}")
        data = self._take(size)
        self.left -= size
        return data

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes."""
        while size:
            size -= len(self.read(min(size, PIECE)))

    def sub(self, size: int) -> Cursor:
        """The next ``size`` bytes as a cursor of their own; to be used up before this one goes on."""
        if size > self.left:
            self.refuse(f"an element of {size} bytes in {self.left}")
        return _Part(self, size)

    def finish(self) -> None:
        """Pass over the rest; what is packed has its checksum compared."""
        self.skip(self.left)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            self.refuse("it ends too early")
        return data

    def refuse(self, what: str) -> NoReturn:
        raise InputError(f"damaged MATLAB file: {what}", where=self.where, hint="copy or save the file again")


class _Part(Cursor):
    """A part of another cursor."""

    def __init__(self, whole: Cursor, left: int):
        self.left = left
        self.where = whole.where
        self._whole = whole

    def _take(self, size: int) -> bytes:
        return self._whole.read(size)


class Inflated(Cursor):
    """A deflated element. How long it is stands in its first tag only, so until then as much as it can hold."""

    def __init__(self, packed: Cursor):
        self.left = EXPANSION * packed.left + 64
        self.where = packed.where
        self._packed = packed
        self._stream = zlib.decompressobj()
        self._input = b""

    def _take(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            part = self._some(missing)
            if not part and self._stream.eof:
                self.refuse("a packed element ends too early")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        if not self._input and not self._stream.eof and self._packed.left:
            self._input = self._packed.read(min(self._packed.left, PIECE))
        elif not self._input and not self._stream.eof:
            part = self._inflate(b"", size)
            return part or self.refuse("a packed element ends too early")
        part = self._inflate(self._input, size)
        self._input = self._stream.unconsumed_tail
        return part

    def _inflate(self, data: bytes, size: int) -> bytes:
        try:
            return self._stream.decompress(data, size)
        except zlib.error as error:
            self.refuse(f"a packed element cannot be unpacked ({error})")

    def finish(self) -> None:
        """Pass over the rest, up to the checksum, which is compared."""
        self.skip(self.left)
        while not self._stream.eof:
            if self._some(1):
                self.refuse("a packed element goes on behind its end")


def fill(cursor: Cursor, stored: np.dtype, out: npt.NDArray) -> Conversion:
    """Read as many values of the stored type as ``out`` (1-D) has, converting on the way."""
    conversion, step = Conversion(stored), max(1, PIECE // stored.itemsize)
    for start in range(0, out.size, step):
        piece = out[start : start + step]
        conversion(np.frombuffer(cursor.read(piece.size * stored.itemsize), stored), piece)
    return conversion


def integers(cursor: Cursor, stored: np.dtype, count: int) -> npt.NDArray:
    """``count`` whole numbers in native byte order. ResourceError when they do not fit in memory: packed ones are many
    more than the bytes of the file."""
    require_memory(count * stored.itemsize, cursor.where, f"a list of {count} indices")
    out, step = np.empty(count, stored.newbyteorder("=")), PIECE // stored.itemsize
    for start in range(0, count, step):
        piece = out[start : start + step]
        piece[...] = np.frombuffer(cursor.read(piece.nbytes), stored)
    return out
