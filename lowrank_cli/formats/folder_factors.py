"""Factors as a folder of .npy files, one an array, and ``meta.json``: what other programs map into memory.

Reading goes by ``meta.json``: a file that it does not name is no part of the factors.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DamagedError, InputError
from . import factor_meta
from .container import ArrayInfo, Container
from .npy_writer import npy_chunks
from .npz_factors import META, read_array, read_header

if TYPE_CHECKING:
    import numpy

_DAMAGED = "the folder is damaged; write it again"


def encode(meta: dict[str, Any], arrays: dict[str, numpy.ndarray]) -> dict[str, list[Any]]:
    """The files of the folder as chunks; the values of the arrays are not copied."""
    files = {f"{name}.npy": npy_chunks(array) for name, array in arrays.items()}
    return {**files, META: [factor_meta.canonical(meta)]}


def decode(path: str) -> tuple[Any, dict[str, numpy.ndarray]]:
    """Metadata and flat arrays, not yet checked against their digests. Raises InputError."""
    meta, arrays = _read_meta(path), {}
    for name in _names(meta):
        with _opened(path, f"{name}.npy") as (file, size):
            arrays[name] = read_array(file, size, name, path)
    return meta, arrays


def headers(path: str) -> tuple[Any, dict[str, ArrayInfo]]:
    """Metadata, and item type and shape of every flat array, without reading values. Raises InputError."""
    meta, found = _read_meta(path), {}
    for name in _names(meta):
        with _opened(path, f"{name}.npy") as (file, size):
            head = read_header(file, size, name, path)
        found[name] = ArrayInfo(head.dtype.name, head.shape)
    return meta, found


def holds(path: str) -> bool:
    """Whether the folder has a ``meta.json`` that names our schema."""
    with contextlib.suppress(InputError, OSError), _opened(path, META) as (file, size):
        return size <= factor_meta.SIZE_CAP and f'"{factor_meta.FAMILY}'.encode() in file.read()
    return False


def is_replaceable(path: str, names: list[str]) -> bool:
    """Whether a folder with these files in it holds factors and nothing else."""
    arrays = [name.removesuffix(".npy") for name in names if name != META]
    return (
        holds(path)
        and all(name.endswith(".npy") for name in names if name != META)
        and all(factor_meta.NAME.fullmatch(name) for name in arrays)
    )


def _read_meta(path: str) -> Any:
    if not os.path.lexists(os.path.join(path, META)):
        raise InputError("holds no factors written by lowrank", where=path, hint=f"it has no {META}")
    with _opened(path, META) as (file, size):
        if size > factor_meta.SIZE_CAP:
            raise DamagedError("the metadata are larger than 16 MiB", where=path, hint=_DAMAGED)
        return factor_meta.parse(file.read(), path)


def _names(meta: Any) -> list[str]:
    """The arrays that the metadata name; what is wrong with the metadata themselves is found out by the caller."""
    digests = meta.get("digests") if isinstance(meta, dict) else None
    return [name for name in digests if factor_meta.NAME.fullmatch(name)] if isinstance(digests, dict) else []


@contextlib.contextmanager
def _opened(folder: str, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file of the folder itself, no link to another, and its size."""
    try:
        # a pipe without a writer would hold us for ever
        fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise DamagedError(f"{name} is not a regular file", where=folder, hint=_DAMAGED)
            yield file, found.st_size
    except FileNotFoundError:
        raise DamagedError(f"{name} is missing", where=folder, hint=_DAMAGED) from None
    except OSError as err:
        raise InputError(f"{name} cannot be read: {err.strerror or err}", where=folder) from err


CONTAINER = Container(
    name="folder",
    suffix="/",
    matches=lambda head: head is None,
    encode=encode,
    decode=decode,
    headers=headers,
    holds=holds,
)
