"""A matrix in a file, in two layouts: how it is made, read at best, and who else can work on one larger than memory.

Both hold the same values: rank 20 and noise, rounded to multiples of 1/64, which as doubles compress. ``.h5`` is what
h5py writes when asked for chunks and gzip.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

N, RANK, STEP = 2500, 20, 64
#: Rows that are made, compared and, but for the whole, worked on at a time: whole rows of chunks.
ROWS = 4096
#: 2 MB each, and the level of gzip that packs and unpacks fastest.
CHUNKS, LEVEL = (1024, 250), 1

#: Each leaves U, s, Vh and when it ``started``: the call, without imports and the opening of the file.
ON_A_MAP = {
    "scikit-learn randomized_svd": """
from sklearn.utils.extmath import randomized_svd
A = np.load(path, mmap_mode="r")
started = time.perf_counter()
U, s, Vh = randomized_svd(A, k, random_state=0)
""",
    "torch.svd_lowrank": """
import torch
A = torch.from_numpy(np.load(path, mmap_mode="c"))
torch.manual_seed(0)
started = time.perf_counter()
U, s, V = torch.svd_lowrank(A, q=k + 10, niter=2)
U, s, Vh = U.numpy()[:, :k], s.numpy()[:k], V.numpy().T[:k]
""",
}
ON_CHUNKS = {
    "scikit-learn, read as a whole": """
import h5py
from sklearn.utils.extmath import randomized_svd
A = h5py.File(path)["A"]
started = time.perf_counter()
U, s, Vh = randomized_svd(A[:], k, random_state=0)
""",
    "dask svd_compressed": """
import dask, h5py
from dask import array
A = h5py.File(path)["A"]
started = time.perf_counter()
blocks = array.from_array(A, chunks=(rows, A.shape[1]))
# compute: read again in every pass, as dask advises for what is larger than memory
U, s, Vh = dask.compute(*array.linalg.svd_compressed(blocks, k, iterator="QR", n_power_iter=2, seed=0, compute=True))
""",
    "NumPy, block by block": """
import h5py
A = h5py.File(path)["A"]
started = time.perf_counter()
blocks = [slice(i, i + rows) for i in range(0, len(A), rows)]
Q = np.random.default_rng(0).standard_normal((A.shape[1], k + 10))
for _ in range(3):
    Z = 0
    for some in blocks:
        block = A[some]
        Z += block.T @ (block @ Q)
    Q = np.linalg.qr(Z)[0]
U, s, W = np.linalg.svd(np.concatenate([A[some] @ Q for some in blocks]), full_matrices=False)
U, s, Vh = U[:, :k], s[:k], (W @ Q.T)[:k]
""",
}
PEERS = {".npy": ON_A_MAP, ".h5": ON_CHUNKS}
#: Prints a line of JSON: the seconds.
FRAME = """
import json, sys, time
import numpy as np
path, k, out, rows = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
{body}
seconds = time.perf_counter() - started
np.savez(out, U=U, s=s, Vh=Vh)
print(json.dumps({{"seconds": seconds}}))
"""


def make(path: Path, m: int) -> None:
    """Write it, row block by row block."""
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.standard_normal((N, RANK)))[0] * np.linspace(10, 1, RANK)
    with _new(path, (m, N)) as target:
        for start in range(0, m, ROWS):
            rows = min(ROWS, m - start)
            block = rng.standard_normal((rows, RANK)) @ V.T + 0.1 * rng.standard_normal((rows, N))
            target[start : start + rows] = np.rint(STEP * block) / STEP


@contextlib.contextmanager
def _new(path: Path, shape: tuple[int, int]) -> Iterator[Any]:
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            yield file.create_dataset("A", shape, np.float64, chunks=CHUNKS, compression="gzip", compression_opts=LEVEL)
    else:
        target = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=shape)
        yield target
        target.flush()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """What gives rows of the matrix as slices."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            yield file["A"]
    else:
        yield np.load(path, mmap_mode="r")


def raw_read(path: Path) -> float:
    """Seconds to read the file once into one buffer: 64 MiB at a time; of chunks, each once, unpacked by h5py."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            A = file["A"]
            rows = np.empty((ROWS, A.shape[1]))
            started = time.perf_counter()
            for start in range(0, len(A), ROWS):
                part = slice(start, min(start + ROWS, len(A)))
                A.read_direct(rows, part, slice(0, part.stop - part.start))
            return time.perf_counter() - started
    buffer = bytearray(64 << 20)
    started = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - started


def drop_cache(path: Path) -> bool:
    """Whether the file is out of the cache now, as far as the system says."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        try:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except (AttributeError, OSError):
            return False
    return True


def relative_error(path: Path, factors: Path) -> float:
    """|A - U s Vh| / |A|, by blocks of rows."""
    with np.load(factors) as kept:
        U, s, Vh = (kept[name] for name in ("U", "s", "Vh"))
    left = total = 0.0
    with opened(path) as A:
        for start in range(0, len(A), ROWS):
            block = np.asarray(A[start : start + ROWS])
            left += float(np.sum(np.square(block - (U[start : start + ROWS] * s) @ Vh)))
            total += float(np.sum(np.square(block)))
    return (left / total) ** 0.5
