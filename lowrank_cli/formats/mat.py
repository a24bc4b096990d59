"""Reading MATLAB files of versions 4 to 7: one numeric or sparse variable, or a field of a struct, by name.

Version 7.3 is HDF5 and read there. Values have the type of their MATLAB class, even where a smaller one stores them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

from ..errors import InputError
from . import mat4, mat5
from .choice import choose, listed
from .loaded import Format, Item, Loaded
from .mat_variables import Variable


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of a MATLAB file of version 4, 5 or 7."""
    return _is_five(head) or mat4.matches(head)


def _is_five(head: bytes) -> bool:
    return len(head) >= 128 and head[126:128] in (b"IM", b"MI") and head[124:126] in (b"\0\x01", b"\x01\0")


def items(path: str) -> list[Item]:
    """Every variable, and every field of the structs, from their headers."""
    with _opened(path) as found:
        return listed([variable.entry for variable in found])


def load(path: str, item: str | None = None) -> Loaded:
    """Read the variable ``item`` ("A", "Problem.A"), or the only matrix of the file, which a note then names.

    Raises InputError listing the candidates when the item is missing or there are several, and for what is no matrix
    of numbers; ResourceError when it does not fit in memory. Cost: the file up to the variable, twice when unnamed.
    """
    with _opened(path) as found:
        entry, notes = choose([variable.entry for variable in found], item, path)
    name = entry.item.path
    with _opened(path) as found:
        variable = next(variable for variable in found if variable.path == name)
        array, said = variable.read(f"{path}:{name}")
        # the checksum of what is packed is compared when the next variable is asked for
        next(found, None)
    stored = dataclasses.replace(entry.item, nnz=None if entry.item.nnz is None else int(array.nnz))
    return Loaded(array, path, "mat", stored, (*notes, *said))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Iterator[Variable]]:
    try:
        file = open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error
    with file:
        reader = mat5 if _is_five(file.read(128)) else mat4
        file.seek(0)
        yield reader.variables(file, os.fstat(file.fileno()).st_size, path)


FORMAT = Format("mat", (".mat",), matches, items, load)
