"""Several dense matrices in one file, each under the name it had in the container it came from, with its report.

.npz: the members are NAME.npy, and the reports lie in ``meta.json``; .h5: a dataset for each, its report as JSON in the
attribute ``report``. The same arrays and reports give the same bytes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ResourceError, UsageError
from ..lazy import np
from ..memory import available_memory
from . import atomic, factor_meta, npz_factors
from .hdf5_factors import LIBVER

if TYPE_CHECKING:
    import numpy

SCHEMA = "lowrank.arrays/1"
SUFFIXES = (".npz", ".h5")
#: HDF5 keeps an attribute of this size in the header of its dataset.
_ATTRIBUTE = 60_000

Named = Mapping[str, tuple["numpy.ndarray", dict[str, Any]]]


def check_suffix(target: str) -> None:
    """Raise UsageError unless several arrays can be written under this name."""
    if not atomic.is_stream(target) and os.path.splitext(target)[1].lower() not in SUFFIXES:
        raise UsageError("several arrays are written as .npz or .h5", where=target, hint=f"use {' or '.join(SUFFIXES)}")


def save(named: Named, target: str, *, no_clobber: bool = False) -> None:
    """Write arrays and their reports to a file whose suffix decides the container, atomically.

    Raises UsageError (suffix, a name that .npz cannot hold), OutputError, ResourceError.
    """
    check_suffix(target)
    chunks = _hdf5(named) if target.lower().endswith(".h5") else _npz(named)
    atomic.commit(target, chunks, sum(memoryview(chunk).nbytes for chunk in chunks), no_clobber)


def write_to(fd: int, named: Named) -> None:
    """Write them as a stored .npz to an open descriptor. Raises BrokenPipeError when nobody reads it."""
    atomic.write_all(fd, _npz(named), "standard output")


def _npz(named: Named) -> list[Any]:
    members = {name.strip("/"): array for name, (array, _) in named.items()}
    wrong = next((name for name in members if not name.isascii()), None)
    if wrong is not None:
        raise UsageError(f"the name {wrong!r} cannot be kept in an .npz file", hint="write .h5")
    reports = {name.strip("/"): _stored(report) for name, (_, report) in named.items()}
    return npz_factors.encode({"schema": SCHEMA, "reports": reports}, members)


def _hdf5(named: Named) -> list[Any]:
    """The file as one chunk, built in memory: the HDF5 library never touches a disk that may be full."""
    import h5py

    nbytes = sum(array.nbytes for array, _ in named.values())
    if 2 * nbytes > available_memory():
        raise ResourceError(
            f"an HDF5 file of {nbytes:,} bytes is built in memory", hint="write .npz, which needs no copy"
        )
    # the library takes two open files of one name for the same, in memory too
    name = f"arrays.{threading.get_ident()}.h5"
    with h5py.File(name, "w", driver="core", backing_store=False, libver=LIBVER) as file:
        file.attrs["schema"] = np.bytes_(SCHEMA.encode())
        for name, (array, report) in named.items():
            dataset = _group(file, name.strip("/").split("/")[:-1]).create_dataset(
                name.strip("/").split("/")[-1], data=np.ascontiguousarray(array), track_times=False
            )
            text = factor_meta.canonical(_stored(report))
            if len(text) <= _ATTRIBUTE:
                dataset.attrs.create("report", np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))
        file.flush()
        return [file.id.get_file_image()]


def _group(parent: Any, names: list[str]) -> Any:
    """The group at this path, made where it is missing, without a time stamp."""
    import h5py

    for name in names:
        if name not in parent:
            plain = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
            plain.set_obj_track_times(False)
            h5py.h5g.create(parent.id, name.encode(), gcpl=plain)
        parent = parent[name]
    return parent


def _stored(report: dict[str, Any]) -> dict[str, Any]:
    """The report without what is true of one run only."""
    return {name: value for name, value in report.items() if name != "run"}
