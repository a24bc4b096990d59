"""Factors as contiguous datasets of an HDF5 file, metadata in attributes of its root.

The library lays the file out in memory, without the values, and we write it: it never touches a disk that may be full,
where it would end the process. Metadata carry checksums (format 1.8 and later), values our digests; there are no time
stamps, so the same factors give the same bytes. Reading follows no link and no reference to another file.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, InputError, LowrankError
from ..lazy import np
from . import factor_meta
from .container import ArrayInfo, Container
from .npy_writer import STORED, raw

if TYPE_CHECKING:
    import h5py
    import numpy

SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Oldest and newest version of the format in a file: checksummed metadata, readable since HDF5 1.8.
LIBVER = ("v108", "v110")
DATASET_CAP = 1000
#: Attributes that hold text as it is; the others hold JSON.
TEXTS = ("schema", "kind", "product", "meta_digest")

_DAMAGED = "the file is damaged; write it again"


def encode(meta: dict[str, Any], arrays: dict[str, Any]) -> list[Any]:
    """The file as chunks; the values of the arrays are not copied."""
    import h5py

    outline = _Outline()
    # values can be mapped where they lie
    with h5py.File(outline, "w", libver=LIBVER, alignment_threshold=1, alignment_interval=64) as file:
        for name in factor_meta.FIELDS:
            text = meta[name].encode() if name in TEXTS else factor_meta.canonical(meta[name])
            # of fixed length: text of variable length lives in a heap without a checksum
            file.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", max(len(text), 1)))
        places = {name: _reserve(file, name, array) for name, array in arrays.items()}
    chunks: list[Any] = []
    done = 0
    for offset, name in sorted((offset, name) for name, offset in places.items() if offset is not None):
        chunks += [outline.part(done, offset), raw(arrays[name])]
        done = offset + arrays[name].nbytes
    return [*chunks, outline.part(done, outline.size)]


class _Outline(io.RawIOBase):
    """A file for the library that takes memory only for what is written in it: the places of values are not."""

    PAGE = 4096

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self.size = self._at = 0

    def part(self, start: int, stop: int) -> bytes:
        self._at = start
        return self.read(stop - start) or b""

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self.size - self._at)]
        for page, inside, there in self._places(len(view)):
            view[there] = self._pages.get(page, bytes(self.PAGE))[inside]
        self._at += len(view)
        return len(view)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for page, inside, there in self._places(len(view)):
            self._pages.setdefault(page, bytearray(self.PAGE))[inside] = view[there]
        self._at += len(view)
        self.size = max(self.size, self._at)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        return self.size

    def _places(self, length: int) -> Iterator[tuple[int, slice, slice]]:
        """(page, its bytes, those of a buffer) that so many bytes from here on are."""
        done = 0
        while done < length:
            page, start = divmod(self._at + done, self.PAGE)
            step = min(self.PAGE - start, length - done)
            yield page, slice(start, start + step), slice(done, done + step)
            done += step


def _reserve(file: h5py.File, name: str, array: Any) -> int | None:
    """Where in the file the values of a contiguous dataset are going to be; None for no values."""
    import h5py

    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind, space = h5py.h5t.py_create(array.dtype, logical=True), h5py.h5s.create_simple(array.shape)
    return h5py.h5d.create(file.id, name.encode("ascii"), kind, space, plist).get_offset()


def decode(path: str) -> tuple[Any, dict[str, numpy.ndarray]]:
    """Metadata and flat arrays, not yet checked against their digests. Raises InputError."""
    with _opened(path) as file:
        meta = _read_meta(file, path)
        arrays = {}
        for name, dataset in _datasets(file, path).items():
            array = np.empty(dataset.shape, dataset.dtype.newbyteorder("="))
            if array.size:
                dataset.read_direct(array)
            arrays[name] = array
        return meta, arrays


def headers(path: str) -> tuple[Any, dict[str, ArrayInfo]]:
    """Metadata, and item type and shape of every flat array, without reading values. Raises InputError."""
    with _opened(path) as file:
        found = {name: ArrayInfo(d.dtype.name, d.shape) for name, d in _datasets(file, path).items()}
        return _read_meta(file, path), found


def holds(path: str) -> bool:
    """Whether the root of the file has an attribute that names our schema."""
    import h5py

    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        return _attribute(file, "schema").startswith(factor_meta.FAMILY.encode())
    return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[h5py.File]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except LowrankError:
        raise
    except Exception as err:
        # h5py gives the errors of the library as OSError, RuntimeError, KeyError, ValueError, TypeError and more
        line = " ".join(str(err).split())[:160] or type(err).__name__
        raise DamagedError(f"is not a readable HDF5 file ({line})", where=path, hint=_DAMAGED) from err


def _read_meta(file: h5py.File, path: str) -> Any:
    if "schema" not in file.attrs:
        raise InputError("holds no factors written by lowrank", where=path, hint="its root has no attribute 'schema'")
    if sorted(file.attrs) != sorted(factor_meta.FIELDS):
        # another layout; what it is says the schema
        return {"schema": _attribute(file, "schema").decode("utf-8")}
    texts = {name: _attribute(file, name) for name in factor_meta.FIELDS}
    return {
        name: text.decode("utf-8") if name in TEXTS else factor_meta.parse(text, path) for name, text in texts.items()
    }


def _attribute(file: h5py.File, name: str) -> bytes:
    """The bytes of a text attribute; ValueError for an attribute of another type."""
    attribute = file.attrs.get_id(name)
    if attribute.shape != () or attribute.dtype.kind != "S" or attribute.dtype.itemsize > factor_meta.SIZE_CAP:
        raise ValueError(f"attribute {name} is no text of fixed length")
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    return value.tobytes().rstrip(b"\0")


def _datasets(file: h5py.File, path: str) -> dict[str, h5py.Dataset]:
    """The datasets of the root, each a plain contiguous block of numbers of this very file."""
    import h5py

    if len(file) > DATASET_CAP:
        raise DamagedError(f"holds {len(file)} objects, more than {DATASET_CAP}", where=path, hint=_DAMAGED)
    size = os.stat(path).st_size
    found, left = {}, size
    for name in file:
        if not factor_meta.NAME.fullmatch(name) or type(file.get(name, getlink=True)) is not h5py.HardLink:
            raise InputError(f"holds {name!r}, which is none of a factor file's arrays", where=path)
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or not _is_plain(dataset, size):
            raise InputError(f"{name!r} is not a contiguous array of numbers inside the file", where=path)
        left -= dataset.id.get_storage_size()
        if left < 0:
            # a thousand arrays that share their bytes would take a thousand times the memory
            raise DamagedError("its arrays are larger than the file", where=path, hint=_DAMAGED)
        found[name] = dataset
    return found


def _is_plain(dataset: h5py.Dataset, file_size: int) -> bool:
    import h5py

    layout = dataset.id.get_create_plist()
    if layout.get_layout() != h5py.h5d.CONTIGUOUS or layout.get_external_count() or layout.get_nfilters():
        return False
    if dataset.shape is None or dataset.dtype.newbyteorder("<").str not in STORED:
        return False
    nbytes = dataset.dtype.itemsize
    for extent in dataset.shape:
        nbytes *= extent
    # space never taken would read as the fill value
    return nbytes <= file_size and (nbytes == 0 or dataset.id.get_storage_size() == nbytes)


CONTAINER = Container(
    name="hdf5",
    suffix=".h5",
    matches=lambda head: head is not None and head.startswith(SIGNATURE),
    encode=encode,
    decode=decode,
    headers=headers,
    holds=holds,
)
