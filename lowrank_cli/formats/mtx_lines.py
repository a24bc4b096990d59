"""Bytes of a Matrix Market file as whole lines, plain or gzip, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

from ..errors import InputError

#: Bytes read, and expanded, at a time; of packed ones so many are handed on: each end of a member copies the others.
CHUNK, PACKED = 1 << 21, 1 << 16
#: Longest line. The format allows 1024 characters; one line as long as the file would have to be held whole.
LINE_CAP = 1 << 16
#: Most bytes of banner, comments and size line.
HEADER_CAP = 1 << 20
#: Most bytes of text behind the header: so many, and so many more for each declared entry.
BODY_CAP, ENTRY_CAP = 1 << 24, 1 << 10
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


class Lines:
    """The lines of one file, read once from the front: first next_line for the header, then chunks for the rest."""

    def __init__(self, fileobj: BinaryIO, where: str):
        self.where = where
        self.number = 0
        self._file = fileobj
        first = self._read()
        self.gzipped = first.startswith(GZIP)
        self._blocks = self._gunzip(first) if self.gzipped else self._plain(first)
        self._buffer = next(self._blocks, b"").removeprefix(BOM)
        self._at = 0
        self._header = 0

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", where=self.where) from error

    def _refuse(self, what: str, hint: str | None = None) -> NoReturn:
        raise InputError(what, where=self.where, hint=hint)

    def _plain(self, block: bytes) -> Iterator[bytes]:
        while block:
            yield block
            block = self._read()

    def _gunzip(self, first: bytes) -> Iterator[bytes]:
        """Expanded bytes of all members, about CHUNK at a time."""
        held: list[bytes] = []
        length = 0
        for block in self._members(first):
            # a member may be one byte: what is given on is worth looking at
            held.append(block)
            length += len(block)
            if length >= PACKED:
                yield b"".join(held)
                held, length = [], 0
        if held:
            yield b"".join(held)

    def _members(self, first: bytes) -> Iterator[bytes]:
        """Expanded bytes of all members, at most CHUNK at a time."""
        damaged = "fetch or compress the file again"
        packed = (block[at : at + PACKED] for block in self._plain(first) for at in range(0, len(block), PACKED))
        data = next(packed, b"")
        while data:
            if not data.startswith(GZIP[: len(data)]):
                self._refuse("there are bytes after the end of the gzip data", damaged)
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                try:
                    block = member.decompress(data, CHUNK)
                except zlib.error as error:
                    self._refuse(f"the gzip data are damaged ({error})", damaged)
                if block:
                    yield block
                data = member.unconsumed_tail
                if not member.eof and not data and len(block) < CHUNK:
                    data = next(packed, b"")
                    if not data:
                        self._refuse("the gzip data end too early", damaged)
            data = member.unused_data
            if len(data) < len(GZIP):
                data += next(packed, b"")

    def next_line(self) -> bytes | None:
        """The next line of the header without its line end, or None at the end of the file."""
        end = self._buffer.find(b"\n", self._at)
        while end < 0 and len(self._buffer) - self._at <= LINE_CAP:
            more = next(self._blocks, None)
            if more is None:
                break
            self._buffer, self._at = self._buffer[self._at :] + more, 0
            end = self._buffer.find(b"\n")
        stop = len(self._buffer) if end < 0 else end
        if stop == self._at and end < 0:
            return None
        self.number += 1
        if stop - self._at > LINE_CAP:
            self._too_long()
        line = self._buffer[self._at : stop]
        self._at = min(stop + 1, len(self._buffer))
        self._header += len(line) + 1
        if self._header > HEADER_CAP:
            self._refuse(f"line {self.number}: more than {HEADER_CAP >> 20} MiB of comments before the size line")
        return line.removesuffix(b"\r")

    def chunks(self, entries: int) -> Iterator[bytes]:
        """The rest of the file in texts of whole lines, each with its line end; CR LF becomes LF.

        The caller counts the lines of each text and adds them to ``number``, the line that it has read to.
        entries is the number declared: it bounds how far a compressed file may expand.
        """
        tail, self._buffer = self._buffer[self._at :], b""
        left = BODY_CAP + ENTRY_CAP * entries
        while True:
            cut = tail.rfind(b"\n") + 1
            if cut:
                yield self._whole(tail[:cut])
                tail = tail[cut:]
            if len(tail) > LINE_CAP:
                self.number += 1
                self._too_long()
            block = next(self._blocks, None)
            if block is None:
                break
            left -= len(block)
            if left < 0:
                self._refuse(f"far more text than {entries} entries need", "the file is damaged or not a matrix")
            tail += block
        if tail:
            yield self._whole(tail + b"\n")

    def _whole(self, text: bytes) -> bytes:
        at = 0
        while len(text) - at > LINE_CAP:
            cut = text.rfind(b"\n", at, at + LINE_CAP + 1) + 1
            if not cut:
                self.number += text.count(b"\n", 0, at) + 1
                self._too_long()
            at = cut
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        return text

    def _too_long(self) -> NoReturn:
        self._refuse(f"line {self.number}: longer than {LINE_CAP >> 10} KiB", "Matrix Market lines are short")
