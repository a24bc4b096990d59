"""Reading files, against the fastest anyone could read the same bytes.

    python bench/reading.py [--rounds N] [--scale S]

Files lie in the temporary folder and in the page cache: it is our work that is timed, not the disk.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from arena import alternate
from cases import divided, sparse
from report import arguments, figure, headline, machine, table

from lowrank_cli.formats.opening import open_matrix

OURS = "lowrank"


def main() -> None:
    asked = arguments(__doc__).parse_args()
    print(headline(machine(), asked.scale), flush=True)
    head = ("file", "reader", "seconds", "MB/s", "times ours")
    with tempfile.TemporaryDirectory() as name:
        rows = []
        for write in (write_c, write_fortran, write_entries, write_chunks):
            path, title, readers = write(Path(name), asked.scale)
            rows += timed(path, title, {OURS: open_matrix, **readers}, asked.rounds)
            path.unlink()
    table("Reading", head, rows)


Readers = dict[str, Callable[[str], object]]


def write_c(folder: Path, scale: float) -> tuple[Path, str, Readers]:
    path = folder / "c.npy"
    np.save(path, normal(8000, 6250, scale))
    return path, ".npy, C order", {"raw read": raw, "numpy.load": np.load}


def write_fortran(folder: Path, scale: float) -> tuple[Path, str, Readers]:
    path = folder / "fortran.npy"
    np.save(path, np.asfortranarray(normal(8000, 6250, scale)))
    return path, ".npy, Fortran order", {"raw read": raw, "numpy.load": np.load}


def write_entries(folder: Path, scale: float) -> tuple[Path, str, Readers]:
    path = folder / "entries.mtx"
    scipy.io.mmwrite(path, sparse(200_000, 50_000, 1_000_000, scale).arrays[0])
    return path, ".mtx, 1,000,000 entries drawn", {"scipy.io.mmread": scipy.io.mmread}


def write_chunks(folder: Path, scale: float) -> tuple[Path, str, Readers]:
    """Rounded values, which a compressor can do something with."""
    path = folder / "chunks.h5"
    A = np.round(normal(5000, 4000, scale), 2)
    chunks = tuple(min(256, side) for side in A.shape)
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=A, chunks=chunks, compression="gzip", shuffle=True)
    title = f".h5, chunks of {chunks[0]} x {chunks[1]}, shuffle and gzip"
    return path, title, {"h5py, whole chunks": by_chunks, "h5py, at once": at_once}


def normal(m: int, n: int, scale: float) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((divided(m, scale), divided(n, scale)))


def raw(path: str) -> np.ndarray:
    """The bytes of a file in fresh memory, and nothing else."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        out = np.empty(os.fstat(descriptor).st_size, np.uint8)
        view, done = out.data, 0
        while done < len(view):
            done += os.readv(descriptor, [view[done:]])
        return out
    finally:
        os.close(descriptor)


def by_chunks(path: str) -> np.ndarray:
    with h5py.File(path, "r") as file:
        stored = file["matrix"]
        out = np.empty(stored.shape, stored.dtype)
        for chunk in stored.iter_chunks():
            stored.read_direct(out, chunk, chunk)
        return out


def at_once(path: str) -> np.ndarray:
    with h5py.File(path, "r") as file:
        return file["matrix"][...]


def timed(path: Path, title: str, readers: Readers, rounds: int) -> list[tuple[str, ...]]:
    size = path.stat().st_size / 1e6
    found = alternate({name: partial(reader, str(path)) for name, reader in readers.items()}, rounds)
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    return [
        (f"{title}, {size:.0f} MB", name, figure(seconds), figure(size / seconds), figure(seconds / medians[OURS]))
        for name, seconds in medians.items()
    ]


if __name__ == "__main__":
    main()
