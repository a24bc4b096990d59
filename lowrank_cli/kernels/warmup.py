"""One small call of every kernel in every form that programs use: what ``lowrank warmup`` compiles."""

from __future__ import annotations

from collections.abc import Callable

from ..lazy import np
from . import csr, gather, interpolation, pivoting, sampling, sweep


def _names(kernel: str) -> list[str]:
    return [f"{kernel}[{dtype}]" for dtype in ("float32", "float64")]


def _dense() -> list[str]:
    for dtype in (np.float32, np.float64):
        Y = np.arange(12, dtype=dtype).reshape(3, 4) ** 2
        sweep.tile_sweep(Y, compiled=True)
        found = pivoting.pivoted_qr(Y, 2, compiled=True)
        interpolation.coefficients(found.R, found.pivots, compiled=True)
        gather.gather_columns(Y, np.array([2, 0]), None, compiled=True)
    return [name for kernel in ("sweep", "pivoted_qr", "back_substitute", "gather_columns") for name in _names(kernel)]


def _sampling() -> list[str]:
    half = np.full(4, 0.5)
    sampling.with_replacement(half, np.array([0.1, 0.9]), compiled=True)
    sampling.systematic(half, np.arange(4), 0.3, compiled=True)
    return ["draw[float64]", "systematic[float64]"]


def _sparse() -> list[str]:
    indptr = np.array([0, 1, 3])
    for dtype in (np.float32, np.float64):
        for index in (np.int32, np.int64):
            indices, data = np.array([1, 0, 2], index), np.ones(3, dtype)
            X, out = np.ones((3, 2), dtype), np.empty((2, 2), dtype)
            csr.csr_matmat(indptr, indices, data, X, out, 0, 2, compiled=True)
            csr.csr_matmat(indptr, indices, data, X, out, 0, 2, compiled=True, stretch=1)
            csr.csr_scatter(
                indptr, indices, data, np.ones((2, 2), dtype), np.zeros((3, 2), dtype), slice(0, 2), compiled=True
            )
            csr.transpose_csr(indptr, indices, data, (2, 3), compiled=True)
    return [
        f"{kernel}[{dtype}, {index}]"
        for kernel in ("csr_rows", "csr_tree_rows", "csr_scatter", "csr_transpose")
        for dtype in ("float32", "float64")
        for index in ("int32", "int64")
    ]


#: Each compiles some kernels and returns their names with their dtypes.
CALLS: tuple[Callable[[], list[str]], ...] = (_dense, _sampling, _sparse)
