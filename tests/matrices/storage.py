"""One matrix in many storages: what a promise of equal bits is tried on."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from lowrank_cli.engines.threads import SerialEngine, ThreadEngine

ENGINES = {"serial": SerialEngine(), "2 threads": ThreadEngine(2), "4 threads": ThreadEngine(4)}


def misaligned(A: np.ndarray) -> np.ndarray:
    """A C-ordered copy that starts one byte past an aligned address."""
    buffer = np.empty(A.nbytes + 1, np.uint8)
    view = np.ndarray(A.shape, A.dtype, buffer=buffer.data, offset=1)
    view[...] = A
    return view


def sliced(A: np.ndarray) -> np.ndarray:
    """A view with gaps between rows and between columns."""
    wide = np.zeros((2 * A.shape[0] + 3, 3 * A.shape[1] + 5), A.dtype)
    view = wide[1 : 2 * A.shape[0] + 1 : 2, 2 : 3 * A.shape[1] + 2 : 3]
    view[...] = A
    return view


def padded(A: np.ndarray) -> np.ndarray:
    """Contiguous rows at an odd distance."""
    wide = np.zeros((A.shape[0], A.shape[1] + 7), A.dtype)
    wide[:, : A.shape[1]] = A
    return wide[:, : A.shape[1]]


def reversed_rows(A: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(A[::-1])[::-1]


STORAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "misaligned": misaligned,
    "sliced": sliced,
    "padded": padded,
    "reversed rows": reversed_rows,
}


def values(shape, dtype="float64", seed=0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    made = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        made = made + 1j * rng.standard_normal(shape)
    return made.astype(dtype)


def disturb(path: str | os.PathLike[str]) -> None:
    """Make one byte of the file another, and hide the time of the change."""
    before = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
