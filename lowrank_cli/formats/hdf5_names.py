"""What AnnData and 10x Genomics call the rows and columns of a matrix, beside it in the file.

Names are a courtesy: where they are missing, of another length, or lie outside the file, there are none.
"""

from __future__ import annotations

import contextlib
from typing import Any

from .hdf5_layouts import main_item, text
from .hdf5_read import values_elsewhere
from .hdf5_walk import H5_ERRORS, resolve
from .loaded import Names

#: No more names, and no more bytes of them, are read than this.
MOST, BYTES = 2_000_000, 256 << 20


def names_of(file: Any, item: str, shape: tuple[int, int], where: str) -> Names:
    """The names of rows and columns of the matrix at ``item``; of each side None where the file does not say."""
    with contextlib.suppress(*H5_ERRORS):
        if main_item(file) == "/X" and (item == "/X" or item.startswith("/layers/")):
            return Names(
                *(_index(file, group, count, where) for group, count in zip(("obs", "var"), shape, strict=True))
            )
        # 10x Genomics: genes x cells, names beside the arrays; version 3 has them in a group of features
        rows = _texts(file, (f"{item}/features/name", f"{item}/gene_names"), shape[0], where)
        return Names(rows, _texts(file, (f"{item}/barcodes",), shape[1], where))
    return Names()


def _index(file: Any, group: str, count: int, where: str) -> tuple[str, ...] | None:
    """The index of a table of AnnData, whose attribute _index says which column that is."""
    told = file[group].attrs.get("_index", "index") if resolve(file, group, where) is not None else "index"
    return _texts(file, (f"{group}/{text(told)}",), count, where)


def _texts(file: Any, paths: tuple[str, ...], count: int, where: str) -> tuple[str, ...] | None:
    """The first of these datasets that holds ``count`` texts."""
    import h5py

    for path in paths:
        found = resolve(file, path, where)
        if not isinstance(found, h5py.Dataset) or found.shape != (count,) or count > MOST:
            continue
        if h5py.check_string_dtype(found.dtype) is None or values_elsewhere(found) is not None:
            continue
        return _read(found, count)
    return None


def _read(dataset: Any, count: int) -> tuple[str, ...] | None:
    """All texts of a dataset; None when they are longer than names are.

    A text of variable length may be as long as the file, and any number of entries may share it: so few are read at
    a time that they cannot be much.
    """
    step = max(16, min(65536, BYTES // max(dataset.file.id.get_filesize(), dataset.dtype.itemsize)))
    names: list[str] = []
    length = 0
    for start in range(0, count, step):
        names += [text(value) for value in dataset[start : start + step].tolist()]
        length += sum(map(len, names[start:]))
        if length > BYTES:
            return None
    return tuple(names)
