"""Factors as a stored (uncompressed) zip archive of .npy members and ``meta.json``, as numpy.load reads it.

The same factors give the same bytes (``zip_writer``). Read through zipfile with
limits of our own, and through our strict .npy header reader.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, InputError, LowrankError
from ..lazy import np
from . import factor_meta, npy_header
from .container import ArrayInfo, Container
from .npy_writer import STORED, npy_chunks, raw
from .zip_writer import archive, member

if TYPE_CHECKING:
    import zipfile

    import numpy

META = "meta.json"
MEMBER_CAP = 1000
#: A compressed member (we write none) may give at most this many times its size.
EXPANSION_CAP = 100

_DAMAGED = "the file is damaged; write it again"


def encode(meta: dict[str, Any], arrays: dict[str, numpy.ndarray]) -> list[Any]:
    """The archive as chunks; the values of the arrays are not copied."""
    members = [member(META, [factor_meta.canonical(meta)])]
    members += [member(f"{name}.npy", npy_chunks(array)) for name, array in arrays.items()]
    return [*archive(members)]


def decode(path: str) -> tuple[Any, dict[str, numpy.ndarray]]:
    """Metadata and flat arrays, not yet checked against their digests. Raises InputError."""
    with _opened(path) as (archive, members):
        meta = _read_meta(archive, members, path)
        arrays = {}
        for name, info in members.items():
            if name != META:
                with archive.open(info) as stream:
                    arrays[name] = read_array(stream, info.file_size, name, path)
        return meta, arrays


def headers(path: str) -> tuple[Any, dict[str, ArrayInfo]]:
    """Metadata, and item type and shape of every flat array, without reading values. Raises InputError."""
    with _opened(path) as (archive, members):
        meta = _read_meta(archive, members, path)
        found = {}
        for name, info in members.items():
            if name != META:
                with archive.open(info) as stream:
                    head = read_header(stream, info.file_size, name, path)
                found[name] = ArrayInfo(head.dtype.name, head.shape)
        return meta, found


def holds(path: str) -> bool:
    """Whether the archive has a ``meta.json`` that names our schema."""
    import zipfile

    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
        info = archive.getinfo(META)
        if info.file_size <= factor_meta.SIZE_CAP:
            return f'"{factor_meta.FAMILY}'.encode() in archive.read(info)
    return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """The archive and its members by array name, all limits checked; whatever zipfile raises becomes InputError."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, _members(archive, os.stat(path).st_size, path)
    except LowrankError:
        raise
    except OSError as err:
        raise InputError(f"cannot be read: {err.strerror or err}", where=path) from err
    except Exception as err:
        # zipfile and zlib raise a dozen kinds for damaged archives
        line = " ".join(str(err).split())[:120] or type(err).__name__
        raise DamagedError(f"is not a readable archive ({line})", where=path, hint=_DAMAGED) from err


def _members(archive: zipfile.ZipFile, file_size: int, path: str) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MEMBER_CAP:
        raise DamagedError(f"has {len(infos)} members, more than {MEMBER_CAP}", where=path, hint=_DAMAGED)
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename if info.filename == META else info.filename.removesuffix(".npy")
        known = info.filename == META or (info.filename.endswith(".npy") and factor_meta.NAME.fullmatch(name))
        if not known:
            raise InputError(f"holds a member {info.filename!r} that is none of a factor file's", where=path)
        if name in members:
            raise DamagedError(f"holds the member {info.filename!r} twice", where=path, hint=_DAMAGED)
        if info.file_size > EXPANSION_CAP * info.compress_size or info.flag_bits & 1:
            raise InputError(f"member {info.filename!r} is encrypted or expands too far", where=path)
        members[name] = info
    if sum(info.compress_size for info in infos) > file_size:
        raise DamagedError("its members are larger than the file", where=path, hint=_DAMAGED)
    if META not in members:
        raise InputError("holds no factors written by lowrank", where=path, hint=f"it has no {META}")
    return members


def _read_meta(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: str) -> Any:
    if members[META].file_size > factor_meta.SIZE_CAP:
        raise DamagedError("the metadata are larger than 16 MiB", where=path, hint=_DAMAGED)
    return factor_meta.parse(archive.read(members[META]), path)


def read_header(stream: Any, size: int, name: str, path: str) -> npy_header.Header:
    """The header of a .npy member, or file, that must fill exactly ``size`` bytes. Raises DamagedError."""
    try:
        head = npy_header.read_header(stream, path)
    except InputError as err:
        raise DamagedError(f"array {name}: {err.what}", where=path, hint=_DAMAGED) from None
    if head.fortran or head.dtype.newbyteorder("<").str not in STORED or size != head.start + head.nbytes:
        raise DamagedError(f"array {name} is not stored the way lowrank does", where=path, hint=_DAMAGED)
    return head


def read_array(stream: Any, size: int, name: str, path: str) -> numpy.ndarray:
    """The array of a .npy member, or file, of ``size`` bytes as we write them. Raises DamagedError."""
    head = read_header(stream, size, name, path)
    array = np.empty(head.shape, head.dtype)
    view, done = raw(array), 0
    while done < head.nbytes:
        got = stream.readinto(view[done : done + (1 << 20)])
        if not got:
            raise DamagedError(f"array {name} ends after {done} of {head.nbytes} bytes", where=path, hint=_DAMAGED)
        done += got
    # the checksum of a member is compared when the end is met
    if stream.read(1):
        raise DamagedError(f"array {name} is longer than its header says", where=path, hint=_DAMAGED)
    return array.astype(head.dtype.newbyteorder("="), copy=False)


CONTAINER = Container(
    name="npz",
    suffix=".npz",
    matches=lambda head: head is not None and head.startswith(b"PK\x03\x04"),
    encode=encode,
    decode=decode,
    headers=headers,
    holds=holds,
)
