"""Several dense matrices in one file, each under the name it had in the container it came from, with its report.

.npz: the members are NAME.npy, and the reports lie in ``meta.json``; .h5: a dataset for each, its report as JSON in the
attribute ``report``. The same arrays and reports give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import atomic, factor_meta, npz_factors
from .hdf5_writer import Layout, set_text
from .npy_writer import stored

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

    Raises UsageError (suffix, a name that .npz cannot hold), OutputError.
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
    with Layout() as layout:
        set_text(layout.file, "schema", SCHEMA.encode())
        for name, (array, report) in named.items():
            dataset = layout.dataset(name, stored(array))
            text = factor_meta.canonical(_stored(report))
            if len(text) <= _ATTRIBUTE:
                set_text(dataset, "report", text)
    return layout.chunks()


def _stored(report: dict[str, Any]) -> dict[str, Any]:
    """The report without what is true of one run only."""
    return {name: value for name, value in report.items() if name != "run"}
