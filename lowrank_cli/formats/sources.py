"""An input opened once: its first bytes to look at, then all of it forwards, through gzip or bzip2 if need be."""

from __future__ import annotations

import bz2
import dataclasses
import io
import zlib
from typing import Any, NoReturn

from ..errors import InputError

#: Bytes looked at before a reader is chosen.
HEAD = 512
GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
#: Packed bytes read, and expanded bytes held, at a time. Few packed ones: each end of a member copies the others.
PACKED, PIECE = 1 << 16, 1 << 20
#: No deflate stream expands more than this; bzip2 can, and then the file is no table of numbers.
EXPANSION, ALLOWANCE = 1032, 64 << 20
_DAMAGED = "fetch or compress the file again"


@dataclasses.dataclass(eq=False)
class Source:
    """An opened input: its first bytes, whether it is a stream, and those bytes followed by the rest."""

    raw: io.RawIOBase
    path: str
    where: str
    stream: bool
    head: bytes = b""
    pending: bytes = b""

    def sniff(self) -> None:
        while len(self.head) < HEAD:
            part = self.raw.read(HEAD - len(self.head))
            if not part:
                break
            self.head += part
        self.pending = self.head

    def read(self, size: int = -1, /) -> bytes:
        if not self.pending:
            return self.raw.read(size) or b""
        if size is None or size < 0:
            return self._take(len(self.pending)) + (self.raw.readall() or b"")
        return self._take(size)

    def readinto(self, buffer: Any, /) -> int:
        if not self.pending:
            return self.raw.readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        part = self._take(len(view))
        view[: len(part)] = part
        return len(part)

    def _take(self, size: int) -> bytes:
        part, self.pending = self.pending[:size], self.pending[size:]
        return part

    @property
    def packer(self) -> str | None:
        """ "gzip" or "bzip2" when the input begins like one of them."""
        return "gzip" if self.head.startswith(GZIP) else "bzip2" if self.head.startswith(BZIP2) else None

    def expanded(self) -> Source:
        """The same input behind its gzip or bzip2, sniffed; the suffix of the packer is taken off the name."""
        path = self.path.rpartition(".")[0] if self.path.lower().endswith((".gz", ".bz2")) else self.path
        inner = Source(_Expanded(self, self.packer == "gzip"), path, self.where, True)
        inner.sniff()
        return inner


class Reader(io.RawIOBase):
    """A source as a file object, for readers of text that want io.BufferedReader."""

    def __init__(self, source: Any):
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._source.readinto(buffer)


class _Expanded(io.RawIOBase):
    """The bytes of all members of a gzip or bzip2 stream, a piece at a time, with a cap on how far they expand."""

    def __init__(self, source: Source, gzipped: bool):
        self._source = source
        self._gzipped = gzipped
        self._member = self._fresh()
        self._packed = b""
        self._taken = self._given = 0
        self._piece = memoryview(b"")
        self._ended = False

    def _fresh(self) -> Any:
        return zlib.decompressobj(wbits=31) if self._gzipped else bz2.BZ2Decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._piece and not self._ended and len(view):
            self._piece = memoryview(self._next())
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def _next(self) -> bytes:
        """The next expanded piece, perhaps empty; sets _ended behind the last member."""
        if self._member.eof:
            self._packed = self._member.unused_data
            if not self._packed and not self._pull():
                self._ended = True
                return b""
            magic = GZIP if self._gzipped else BZIP2
            while len(self._packed) < len(magic) and self._pull():
                pass
            if not self._packed.startswith(magic):
                self._refuse("there are bytes after the end of the packed data")
            self._member = self._fresh()
        hungry = not self._packed and (self._gzipped or self._member.needs_input)
        if hungry and not self._pull():
            self._refuse("the packed data end too early")
        try:
            piece = self._member.decompress(self._packed, PIECE)
        except (zlib.error, OSError, ValueError, EOFError) as error:
            self._refuse(f"the packed data are damaged ({error})")
        self._packed = self._member.unconsumed_tail if self._gzipped else b""
        self._given += len(piece)
        if self._given > ALLOWANCE + EXPANSION * self._taken:
            self._refuse(f"the packed data expand more than {EXPANSION} times")
        return piece

    def _pull(self) -> bool:
        more = self._source.read(PACKED)
        self._packed += more
        self._taken += len(more)
        return bool(more)

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(what, where=self._source.where, hint=_DAMAGED)
