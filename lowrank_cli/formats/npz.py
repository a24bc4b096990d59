"""Reading .npz: one array of a NumPy archive, or a sparse matrix as SciPy saves it, from its fields and no pickle.

``scipy.sparse.save_npz`` writes the members format, shape, data and those of the layout. The same arrays under a common
prefix (``adj_data adj_indices adj_indptr adj_shape``, or with a dot) are a sparse matrix named by the prefix.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InputError, LowrankError, ResourceError
from ..lazy import np
from . import npy_header
from .choice import Entry, choose, listed
from .loaded import Format, Item, Loaded
from .npy import load_stream
from .npz_sparse import SparseArrays, assemble, describe, groups
from .working import native_name

if TYPE_CHECKING:
    import zipfile

    import numpy.typing as npt

    from .sparse_filed import Column
    from .sparse_writer import SparseRows

MEMBER_CAP = 1000
#: No deflate stream expands more than this.
EXPANSION = 1032
_FACTORS_META = "meta.json"
_DAMAGED = "copy or write the file again"
#: Members that say what an archive without arrays is, and what to do.
_OTHERS = (
    ("data.pkl", "a PyTorch checkpoint; pickled objects are never loaded", "save the tensor with numpy.save"),
    ("xl/workbook.xml", "an Excel workbook, which is not read", "save the sheet as CSV"),
)


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of a ZIP archive."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def items(path: str) -> list[Item]:
    """Every array and sparse matrix of the archive, from the headers of its members."""
    with opened(path) as archive:
        return listed(archive.entries())


def load(path: str, item: str | None = None) -> Loaded:
    """Read the array or sparse matrix ``item``, or the only matrix of the archive, which a note then names.

    Raises InputError listing the candidates when the item is missing or there are several, and for what is no matrix
    of numbers; ResourceError when it does not fit in memory. Cost: the members read, once, with their checksums.
    """
    with opened(path) as archive:
        if item is None and archive.is_factors:
            raise InputError("this file holds factors, not a matrix", where=path, hint="use lowrank reconstruct")
        entry, notes = choose(archive.entries(), item, path)
        name = entry.item.path
        where = path if name is None else f"{path}:{name}"
        if name in archive.sparse:
            array, said = assemble(archive.sparse[name], name, archive, where)
            item_read = dataclasses.replace(entry.item, nnz=int(array.nnz))
            return Loaded(array, path, "npz", item_read, (*notes, *said))
        with archive.member(f"{name}.npy") as stream:
            loaded = load_stream(stream, where, name=path)
        return Loaded(loaded.array, path, "npz", entry.item, (*notes, *loaded.notes))


def filed(path: str, item: str | None, most: int) -> Loaded | None:
    """A csr or csc matrix left in its file; see ``npz_filed``."""
    from .npz_filed import filed as leave

    return leave(path, item, most)


def rows(path: str, item: str | None, most: int, target: str) -> SparseRows | None:
    """The same by rows, packed or not; see ``npz_filed``."""
    from .npz_filed import rows

    return rows(path, item, most, target)


class Archive:
    """An archive whose directory has been checked: its arrays by name, and which of them make sparse matrices."""

    def __init__(self, archive: zipfile.ZipFile, path: str):
        self.path = path
        self._archive = archive
        self._members = _members(archive, os.stat(path).st_size, path)
        self.is_factors = _FACTORS_META in self._members and _is_factors(path)
        self._names = [name.removesuffix(".npy") for name in self._members if name.endswith(".npy")]
        self.sparse: dict[str | None, SparseArrays] = groups(self._names)

    @contextlib.contextmanager
    def member(self, name: str) -> Iterator[Any]:
        with self._archive.open(self._members[name]) as stream:
            yield stream

    def header(self, name: str) -> npy_header.Header:
        """The header of an array, which must fill its member exactly."""
        where, info = f"{self.path}:{name}", self._members[f"{name}.npy"]
        with self.member(f"{name}.npy") as stream:
            header = npy_header.read_header(stream, where)
        if header.start + header.nbytes != info.file_size:
            raise InputError(
                f"shape {header.shape} of {native_name(header.dtype)} needs {header.nbytes} bytes of data, the member "
                f"has {info.file_size - header.start}",
                where=where,
                hint=_DAMAGED,
            )
        return header

    def array(self, name: str) -> npt.NDArray:
        """A small array, or a part of a sparse matrix, of any number of dimensions, in native byte order."""
        header = self.header(name)
        where = f"{self.path}:{name}"
        with self.member(f"{name}.npy") as stream:
            npy_header.read_header(stream, where)
            flat = np.empty(header.nbytes // header.dtype.itemsize, header.dtype)
            view, done = flat.view(np.uint8).data, 0
            while done < header.nbytes:
                came = stream.readinto(view[done : done + 2**20])
                if not came:
                    raise InputError(f"ends after {done} of {header.nbytes} bytes", where=where, hint=_DAMAGED)
                done += came
            # the checksum is compared when the end is met
            stream.read(1)
        shaped = flat.reshape(header.shape, order="F" if header.fortran else "C")
        return shaped.astype(header.dtype.newbyteorder("="), copy=False)

    def packed(self, name: str | None) -> bool:
        """Whether the values or indices of a sparse matrix are compressed."""
        parts = self.sparse[name].parts
        return any(self._members[f"{parts[part]}.npy"].compress_type for part in ("data", "indices"))

    def column(self, name: str) -> Column:
        """The numbers of a 1-D array, left in the file: read by position where its member is stored, else forwards."""
        from .sparse_filed import Packed, Stored

        header, info, path = self.header(name), self._members[f"{name}.npy"], self.path
        if info.compress_type:
            return Packed(lambda: _unpacked(path, info.filename), path, header.dtype)
        file = open(path, "rb", buffering=0)
        file.seek(info.header_offset)
        local = file.read(30)
        if len(local) < 30 or not local.startswith(b"PK\x03\x04"):
            raise InputError("is not a readable archive (a member has no header)", where=path, hint=_DAMAGED)
        behind = sum(int.from_bytes(local[at : at + 2], "little") for at in (26, 28))
        return Stored(file, path, info.header_offset + len(local) + behind + header.start, header.dtype)

    def text(self, name: str) -> str:
        """A member that holds one short text, as SciPy stores the name of a layout."""
        with self.member(f"{name}.npy") as stream:
            raw = stream.read(4096)
        return raw[10 + int.from_bytes(raw[8:10], "little") :].replace(b"\0", b"").decode("ascii", "replace").strip()

    def entries(self) -> list[Entry]:
        """What the archive holds: sparse matrices whole, everything else array by array."""
        parts = {part for group in self.sparse.values() for part in group.parts.values()}
        return [
            *(self._sparse_entry(name, group) for name, group in self.sparse.items()),
            *(self._entry(name) for name in self._names if name not in parts),
        ]

    def _sparse_entry(self, name: str | None, group: SparseArrays) -> Entry:
        try:
            return Entry(describe(group, name, self).item, True)
        except InputError as error:
            return Entry(Item(name, (), "unknown", None, 0, error.what), False)

    def _entry(self, name: str) -> Entry:
        try:
            header = self.header(name)
        except InputError as error:
            return Entry(Item(name, (), "unknown", None, 0, error.what), False)
        order = "Fortran order" if header.fortran and len(header.shape) > 1 else "C order"
        item = Item(name, header.shape, native_name(header.dtype), None, header.nbytes, order)
        return Entry(item, len(header.shape) == 2 and 0 not in header.shape)


def _unpacked(path: str, member: str) -> Any:
    """A stream of the data of a member, behind its header."""
    import zipfile

    stream: Any = zipfile.ZipFile(path).open(member)
    npy_header.read_header(stream, path)
    return stream


@contextlib.contextmanager
def opened(path: str) -> Iterator[Archive]:
    """The archive, its limits checked; whatever zipfile raises becomes InputError."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            yield Archive(archive, path)
    except LowrankError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path) from error
    except MemoryError as error:
        raise ResourceError("not enough memory to read the archive", where=path) from error
    except Exception as error:
        # zipfile and zlib raise a dozen kinds for damaged archives
        line = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"is not a readable archive ({line})", where=path, hint=_DAMAGED) from error


def _members(archive: zipfile.ZipFile, file_size: int, path: str) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MEMBER_CAP:
        raise InputError(f"has {len(infos)} members, more than {MEMBER_CAP}", where=path)
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.filename in members:
            raise InputError(f"holds the member {info.filename!r} twice", where=path, hint=_DAMAGED)
        members[info.filename] = info
        if info.flag_bits & 1 or info.compress_type not in (0, 8):
            raise InputError(f"member {info.filename!r} is encrypted or packed in a way NumPy does not use", where=path)
        if info.file_size > EXPANSION * info.compress_size + 64 or info.compress_size > file_size:
            raise InputError(f"member {info.filename!r} claims more bytes than it can hold", where=path, hint=_DAMAGED)
    if sum(info.compress_size for info in infos) > file_size:
        raise InputError("its members are larger than the file", where=path, hint=_DAMAGED)
    if not any(name.endswith(".npy") for name in members):
        for mark, what, hint in _OTHERS:
            if any(name.endswith(mark) for name in members):
                raise InputError(f"is {what}", where=path, hint=hint)
        raise InputError("is a ZIP archive without NumPy arrays", where=path, hint="unpack it and name a file")
    return members


def unsettled(path: str, item: str | None, buffer: int) -> Loaded | None:
    """See ``npz_filed.unsettled``."""
    from .npz_filed import unsettled as leave

    return leave(path, item, buffer)


def _is_factors(path: str) -> bool:
    from .npz_factors import CONTAINER

    return CONTAINER.holds(path)


FORMAT = Format("npz", (".npz",), matches, items, load, filed=filed, rows=rows, unsettled=unsettled)
