"""Names of columns or rows: a text file with one on each line, or a dataset of strings in an HDF5 file."""

from __future__ import annotations

import os
from typing import Any

from ..errors import InputError, LowrankError
from .hdf5 import matches
from .hdf5_read import values_elsewhere
from .hdf5_walk import guarded, opened, resolve
from .opening import split_item

#: Bytes of a file of names, and characters of one name.
LARGEST, LONGEST = 256 << 20, 1000


def read_names(given: str) -> list[str]:
    """The names in ``PATH``, UTF-8 text with one on each line, or in the HDF5 dataset ``PATH:ITEM``, in order.

    Line ends may be those of any system; a blank line is a name without letters. Raises InputError where there is no
    such file or dataset, its bytes are not UTF-8 text, or a name is longer than 1000 characters.
    """
    path, item = split_item(given)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(512)
            if matches(head, path):
                return _checked(_from_hdf5(path, item), given)
            if size > LARGEST:
                raise InputError(f"has {size} bytes, too many for names", where=path, hint="one name on each line")
            raw = head + file.read(LARGEST)
    except FileNotFoundError as error:
        raise InputError("no such file", where=path, hint="--names takes a file of names") from error
    except (OSError, ValueError) as error:
        if isinstance(error, LowrankError):
            raise
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", where=path) from error
    if item is not None:
        raise InputError(f"is no HDF5 file, so there is no {item!r} in it", where=path, hint="leave the item out")
    return _checked(_from_text(raw, path), given)


def _from_text(raw: bytes, path: str) -> list[str]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 text: byte {error.start} cannot be read", where=path, hint="save the names as UTF-8"
        ) from None
    if "\0" in text:
        raise InputError("holds NUL bytes, so it is no text", where=path, hint="one name on each line")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _from_hdf5(path: str, item: str | None) -> list[str]:
    import h5py

    if item is None:
        raise InputError("is an HDF5 file", where=path, hint="name its dataset of strings: FILE.h5:/DATASET")
    where = f"{path}:{item}"
    with opened(path) as file:
        found = resolve(file, item, path)
        with guarded(where, "cannot be examined"):
            text = isinstance(found, h5py.Dataset) and h5py.check_string_dtype(found.dtype) is not None
            if not text or found.shape is None or len(found.shape) != 1:
                raise InputError("is no list of strings", where=where, hint="name a 1-D dataset of strings")
            elsewhere = values_elsewhere(found)
            if elsewhere is not None:
                raise InputError(elsewhere, where=where, hint="copy it into one file")
            if found.size * max(1, found.dtype.itemsize) > LARGEST:
                raise InputError("is too large for names", where=where, hint="one name for each column or row")
            values: list[Any] = found[()].tolist()
    try:
        return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]
    except UnicodeDecodeError:
        raise InputError("holds bytes that are not UTF-8", where=where, hint="store the names as UTF-8") from None


def _checked(names: list[str], where: str) -> list[str]:
    for number, name in enumerate(names):
        if len(name) > LONGEST:
            raise InputError(
                f"name {number} has {len(name)} characters, more than {LONGEST}", where=where, hint="shorten it"
            )
    return names
