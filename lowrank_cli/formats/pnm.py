"""Netpbm images: grey ones (PGM: P2, P5) as they are, of colour ones (PPM: P3, P6) the channel that is named.

A matrix has the rows of the image. Every value must be in 0 to the maximum that the header says; one image a file.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from ..errors import InputError
from ..lazy import np
from .loaded import Format, Item, Loaded
from .sources import Reader
from .working import allocate, check_dimensions, matrix_shape, require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

CHANNELS = ("red", "green", "blue")
#: A column of a table may be called P2: what follows the magic has to be a number, and the name no table's.
_MAGIC = re.compile(rb"P[1-7]\s+(?:#[^\n]*\n\s*)*[0-9]")
_TABLES = (".csv", ".tsv", ".tab", ".txt")
_KINDS = {b"P1": "a bitmap", b"P4": "a bitmap", b"P7": "a PAM image"}
#: Longest header, comments counted, and most bytes of a value in text with the space before it.
_HEADER_CAP, _DIGITS = 1 << 16, 32
#: Bytes of memory that a number in text takes: as a token, in the list of them, and as an int64 beside its last form.
_TOKEN = 80


class _Header:
    """What stands in front of the values: whether they are text, channels, shape and the largest value."""

    def __init__(self, file: BinaryIO, where: str):
        self._file, self.where, self._length = file, where, 0
        magic = file.read(2)
        if magic in _KINDS:
            raise InputError(f"is {_KINDS[magic]}, which is not read", where=where, hint="convert it to PGM")
        if magic not in (b"P2", b"P3", b"P5", b"P6"):
            raise InputError("not a PGM or PPM image", where=where)
        self.text = magic in (b"P2", b"P3")
        self.channels = 3 if magic in (b"P3", b"P6") else 1
        cols, rows, self.top = (self._number() for _ in range(3))
        check_dimensions((rows, cols), where)
        self.shape = (rows, cols)
        if not 1 <= self.top <= 65535:
            self.refuse(f"the largest value is {self.top}, not from 1 to 65535")
        self.stored = np.dtype("u1" if self.top < 256 else ">u2")
        self.count = rows * cols * self.channels

    def _number(self) -> int:
        """The next number; of what follows it, one space is read."""
        byte = self._byte()
        while byte.isspace() or byte == b"#":
            if byte == b"#":
                while byte not in (b"\r", b"\n"):
                    byte = self._byte()
            byte = self._byte()
        digits = b""
        while byte.isdigit() and len(digits) < 16:
            digits += byte
            byte = self._byte()
        if not digits or not byte.isspace():
            self.refuse("the header is damaged")
        return int(digits)

    def _byte(self) -> bytes:
        self._length += 1
        byte = self._file.read(1)
        if not byte or self._length > _HEADER_CAP:
            self.refuse("the header ends too early" if not byte else "the header is too long")
        return byte

    def refuse(self, what: str) -> NoReturn:
        raise InputError(f"damaged image: {what}", where=self.where, hint="copy or write the file again")

    def item(self, channel: str | None) -> Item:
        size = self.shape[0] * self.shape[1] * self.stored.itemsize
        kind = "text" if self.text else "binary"
        return Item(channel, self.shape, self.stored.newbyteorder("=").name, None, size, f"{kind}, up to {self.top}")


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of a Netpbm image."""
    return _MAGIC.match(head) is not None and not name.lower().endswith(_TABLES)


def items(path: str) -> list[Item]:
    """The image, or its three channels, from the header."""
    with _opened(path) as file:
        return stream_items(file, path)


def stream_items(source: Any, where: str) -> list[Item]:
    header = _Header(io.BufferedReader(Reader(source)), where)
    return [header.item(channel) for channel in (CHANNELS if header.channels == 3 else (None,))]


def load(path: str, item: str | None = None) -> Loaded:
    """Read the image, or the channel ``item`` of a colour image. InputError for a value beyond the largest."""
    with _opened(path) as file:
        return load_stream(file, path, item)


def load_stream(source: Any, where: str, item: str | None = None) -> Loaded:
    """Read the image from a source, to its end."""
    file = io.BufferedReader(Reader(source), 1 << 20)
    header = _Header(file, where)
    shape = matrix_shape(header.shape, where)
    at = _channel(header, item)
    # a number in text is a Python object for a while
    each = _TOKEN if header.text else header.stored.itemsize
    require_memory(header.count * (8 + each), where, "the image")
    values = _text_values(file, header) if header.text else _binary_values(file, header)
    if values.size and int(values.max()) > header.top:
        first = int(np.argmax(values > header.top))
        row, col = divmod(first // header.channels, shape[1])
        header.refuse(f"the value {values[first]} in row {row}, column {col} is above {header.top}")
    out = allocate(shape, np.dtype(np.float64), False, where)
    out[...] = values.reshape(*shape, header.channels)[:, :, at]
    return Loaded(out, where, "pnm", header.item(item), ())


def _channel(header: _Header, item: str | None) -> int:
    if header.channels == 1:
        if item is not None:
            raise InputError(f"a grey image holds one matrix and no item {item!r}", where=header.where)
        return 0
    if item not in CHANNELS:
        what = "is a colour image, not a matrix" if item is None else f"there is no channel {item!r}"
        names = ", ".join(f"{header.where}:{name}" for name in CHANNELS)
        raise InputError(what, where=header.where, hint=f"name a channel: {names}")
    return CHANNELS.index(item)


def _binary_values(file: Any, header: _Header) -> npt.NDArray:
    raw = np.empty(header.count, header.stored)
    view, got = raw.view(np.uint8).data, 0
    while got < raw.nbytes and (more := file.readinto(view[got:])):
        got += more
    if got < raw.nbytes:
        header.refuse(f"truncated: {got} of {raw.nbytes} bytes of values")
    if file.read(1):
        header.refuse(f"more bytes follow the {raw.nbytes} bytes of values")
    return raw


def _text_values(file: Any, header: _Header) -> npt.NDArray:
    """Whole numbers between spaces, comments to the end of a line left out."""
    # piece by piece: one read of all that the header promises would take the memory for it
    pieces, left = [], header.count * _DIGITS + _HEADER_CAP
    while piece := file.read(1 << 20):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            header.refuse(f"more text than {header.count} values need")
    tokens = re.sub(rb"#[^\r\n]*", b"", b"".join(pieces)).split()
    if len(tokens) != header.count:
        header.refuse(f"{len(tokens)} values where {header.count} belong")
    wrong = next((token for token in tokens if not token.isdigit() or len(token) > 9), None)
    if wrong is not None:
        header.refuse(f"{wrong[:20].decode('ascii', 'replace')!r} is no value")
    return np.array(tokens, dtype="S9").astype(np.int64)


def _opened(path: str) -> io.FileIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error


FORMAT = Format("pnm", (".pgm", ".ppm", ".pnm"), matches, items, load, load_stream, stream_items)
