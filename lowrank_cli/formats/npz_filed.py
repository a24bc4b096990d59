"""A sparse matrix of a .npz archive left in its file: its members are read by position where they are stored.

Members that are packed can be read forwards only, which is enough to convert them.
"""

from __future__ import annotations

import dataclasses
import os

from ..errors import ResourceError
from .choice import Entry, choose
from .loaded import Loaded
from .npz import Archive, opened
from .npz_sparse import Described, describe
from .sparse_filed import lines_of
from .sparse_parts import fits, room
from .sparse_writer import SparseRows, rows_of
from .unchanged import Unchanged
from .working import Conversion, require_memory


def filed(path: str, item: str | None, most: int) -> Loaded | None:
    """A csr or csc matrix left in its file, where it would take more than ``most`` bytes with its transposed copy; else
    None.

    Raises InputError as ``npz.load`` does, ResourceError when its members are packed. Cost: one read of the indices.
    """
    return _filed(path, item, most, forwards=False)


def forwards(path: str, item: str | None, most: int) -> Loaded | None:
    """As ``filed``, but packed members are unpacked from their beginning for every pass."""
    return _filed(path, item, most, forwards=True)


def unsettled(path: str, item: str | None, buffer: int) -> Loaded | None:
    """A csr or csc matrix left in its file, however small, whose indices nobody has looked at; else None. Raises as
    ``filed``."""
    return _filed(path, item, 8 * buffer, forwards=False, settle=False)


def rows(path: str, item: str | None, most: int, target: str) -> SparseRows | None:
    """A matrix that does not fit, by rows, of packed members too."""
    loaded = forwards(path, item, most)
    return None if loaded is None else rows_of(loaded)


def _filed(path: str, item: str | None, most: int, forwards: bool, settle: bool = True) -> Loaded | None:
    with opened(path) as archive:
        if not archive.sparse or (item is None and archive.is_factors):
            return None
        entry, notes = choose(archive.entries(), item, path)
        name = entry.item.path
        if name not in archive.sparse or not entry.candidate:
            return None
        about = describe(archive.sparse[name], name, archive)
        small = settle and fits(room(about.item.nnz or 0, about.shape), 2 * most)
        if small or about.layout not in ("csr", "csc"):
            return None
        where = path if name is None else f"{path}:{name}"
        if archive.packed(name) and not forwards:
            raise ResourceError(
                "is too large for memory, and its members are packed, so that it cannot be read in parts",
                where=where,
                hint=f"store it once: lowrank convert {where} {os.path.splitext(path)[0]}.stored.npz",
            )
        return _left(archive, about, entry, notes, where, most // 8, settle)


def _left(
    archive: Archive, about: Described, entry: Entry, notes: tuple[str, ...], where: str, buffer: int, settle: bool
) -> Loaded:
    parts = archive.sparse[entry.item.path].parts
    headers = {part: archive.header(parts[part]) for part in ("data", "indices", "indptr")}
    require_memory(2 * headers["indptr"].nbytes, where, "the pointer of the sparse matrix")
    conversion = Conversion(headers["data"].dtype)
    lines, said = lines_of(
        about.layout,
        about.shape,
        archive.array(parts["indptr"]),
        archive.column(parts["data"]),
        archive.column(parts["indices"]),
        (headers["data"].shape[0], headers["indices"].shape[0]),
        conversion,
        Unchanged(archive.path),
        where,
        buffer,
        settle,
    )
    item = dataclasses.replace(entry.item, nnz=lines.nnz) if settle else entry.item
    return Loaded(lines, archive.path, "npz", item, (*notes, *about.notes, *said))
