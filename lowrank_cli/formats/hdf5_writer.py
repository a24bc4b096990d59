"""Writing HDF5: the library lays the file out in memory, without the values, and we write it.

So it never touches a disk that may be full, where it would end the process. Metadata carry checksums (format 1.8 and
later); there are no time stamps, so the same content gives the same bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..lazy import np
from .npy_writer import raw

if TYPE_CHECKING:
    import h5py

#: Values begin at multiples of so many bytes: they can be mapped where they lie.
ALIGNMENT = 64


class Layout:
    """An HDF5 file in the making: ``file`` takes attributes, ``dataset`` the place of an array; when the ``with`` ends
    ``chunks`` are its bytes."""

    def __init__(self) -> None:
        self._outline = _Outline()
        self._places: list[tuple[int, Any]] = []
        self.file = _created(self._outline)

    def __enter__(self) -> Layout:
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()

    def group(self, path: str) -> Any:
        """The group at this path from the root, made where it is missing."""
        import h5py

        plain = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
        plain.set_obj_track_times(False)
        place: Any = self.file
        for name in filter(None, path.split("/")):
            if name not in place:
                h5py.h5g.create(place.id, name.encode(), lcpl=_link(name), gcpl=plain)
            place = place[name]
        return place

    def dataset(self, path: str, array: Any) -> h5py.Dataset:
        """A contiguous dataset for an array as ``npy_writer.stored`` makes it, whose values are not copied."""
        import h5py

        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_obj_track_times(False)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        kind, space = h5py.h5t.py_create(array.dtype, logical=True), h5py.h5s.create_simple(array.shape)
        parent, _, name = path.strip("/").rpartition("/")
        made = h5py.h5d.create(self.group(parent).id, name.encode(), kind, space, plist, _link(name))
        if made.get_offset() is not None:
            self._places.append((made.get_offset(), array))
        return h5py.Dataset(made)

    def chunks(self) -> list[Any]:
        """The bytes of the file, of which arrays are themselves."""
        found: list[Any] = []
        done = 0
        for offset, array in sorted(self._places, key=lambda place: place[0]):
            found += [self._outline.part(done, offset), raw(array)]
            done = offset + array.nbytes
        return [*found, self._outline.part(done, self._outline.size)]


def set_text(place: Any, name: str, text: bytes) -> None:
    """An attribute of UTF-8 text; of fixed length: text of variable length lives in a heap without a checksum."""
    import h5py

    place.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", max(len(text), 1)))


def _created(outline: _Outline) -> h5py.File:
    """A new file: h5py.File, but for the time stamp that libraries before HDF5 2.0 give its root."""
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    # checksummed metadata, readable since HDF5 1.8
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V110)
    access.set_alignment(1, ALIGNMENT)
    # not the driver "core": the image that HDF5 before 2.0 gives of an open file has a wrong checksum
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, outline)
    create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    create.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(b"outline", h5py.h5f.ACC_TRUNC, fcpl=create, fapl=access))


def _link(name: str) -> Any:
    """How a name is written: the library takes it for ASCII else."""
    import h5py

    plist = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    plist.set_char_encoding(h5py.h5t.CSET_ASCII if name.isascii() else h5py.h5t.CSET_UTF8)
    return plist


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
