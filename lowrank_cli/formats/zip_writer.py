"""The bytes of a stored (uncompressed) zip archive. Time stamps and attributes are fixed: the same members, the same.

Layout of a zip archive: PKWARE APPNOTE.TXT 6.3.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .npy_writer import size_of, views

#: Sizes and offsets from here on need the zip64 fields.
ZIP64_FROM = 0xFFFFFFFF
_FULL = 0xFFFFFFFF
#: 1980-01-01 00:00, the earliest a zip archive can say.
_DATE = 0x0021
_UNIX_FILE = 0o100644 << 16


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A file of an archive: its bytes in chunks, read once, with their number and CRC-32."""

    name: str
    size: int
    crc: int
    chunks: Iterable[Any]


def member(name: str, body: Sequence[Any]) -> Member:
    """One whose chunks can be read twice."""
    crc = 0
    for view in views(body):
        crc = zlib.crc32(view, crc)
    return Member(name, size_of(body), crc, body)


def archive(members: Sequence[Member]) -> Iterator[Any]:
    """The archive in chunks."""
    directory: list[bytes] = []
    offset = 0
    for one in members:
        local = _local_header(one.name, one.crc, one.size)
        directory.append(_directory_entry(one.name, one.crc, one.size, offset))
        yield local
        yield from one.chunks
        offset += len(local) + one.size
    yield b"".join(directory)
    yield _end(len(members), sum(map(len, directory)), offset)


def size(members: Sequence[Member]) -> int:
    """Bytes of the archive."""
    around = archive([dataclasses.replace(one, chunks=()) for one in members])
    return sum(one.size for one in members) + size_of(around)


def _local_header(name: str, crc: int, size: int) -> bytes:
    large = size >= ZIP64_FROM
    extra = struct.pack("<HHQQ", 1, 16, size, size) if large else b""
    shown = _FULL if large else size
    fixed = (b"PK\x03\x04", 45 if large else 20, 0, 0, 0, _DATE, crc, shown, shown, len(name), len(extra))
    return struct.pack("<4s5H3L2H", *fixed) + name.encode("ascii") + extra


def _directory_entry(name: str, crc: int, size: int, offset: int) -> bytes:
    large, far = size >= ZIP64_FROM, offset >= ZIP64_FROM
    wide = ([size, size] if large else []) + ([offset] if far else [])
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = 45 if wide else 20
    shown, place = _FULL if large else size, _FULL if far else offset
    fixed = (b"PK\x01\x02", 3 << 8 | version, version, 0, 0, 0, _DATE, crc, shown, shown, len(name), len(extra))
    return struct.pack("<4s6H3L5H2L", *fixed, 0, 0, 0, _UNIX_FILE, place) + name.encode("ascii") + extra


def _end(count: int, size: int, offset: int) -> bytes:
    wide = b""
    if offset + size >= ZIP64_FROM:
        record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, offset)
        wide = record + struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size, 1)
    shown = (min(size, _FULL), _FULL if wide else offset)
    return wide + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, *shown, 0)
