"""Factors as contiguous datasets of an HDF5 file, metadata in attributes of its root.

See ``hdf5_writer``: metadata carry checksums, values our digests, and the same factors give the same bytes. Reading
follows no link and no reference to another file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, InputError, LowrankError
from ..lazy import np
from . import factor_meta
from .container import ArrayInfo, Container
from .hdf5_writer import Layout, set_text
from .npy_writer import STORED

if TYPE_CHECKING:
    import h5py
    import numpy

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DATASET_CAP = 1000
#: Attributes that hold text as it is; the others hold JSON.
TEXTS = ("schema", "kind", "product", "meta_digest")

_DAMAGED = "the file is damaged; write it again"


def encode(meta: dict[str, Any], arrays: dict[str, Any]) -> list[Any]:
    """The file as chunks; the values of the arrays are not copied."""
    with Layout() as layout:
        for name in factor_meta.FIELDS:
            text = meta[name].encode() if name in TEXTS else factor_meta.canonical(meta[name])
            set_text(layout.file, name, text)
        for name, array in arrays.items():
            layout.dataset(name, array)
    return layout.chunks()


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
