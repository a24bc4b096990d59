"""How often BLAS rounds A X and A^H Y differently for another storage of the same A, by size of the product.

Usage: python bench/storage_order.py [shapes]. One BLAS thread; A in C order against Fortran order and a strided view.
"""

from __future__ import annotations

import sys

import numpy as np

from lowrank_cli.engines.blas import single_threaded

LIMIT = 1_000_000


def main(shapes: int = 1500) -> None:
    print("| dtype | products | differ, single column | differ, up to 1e6 multiplications | differ, above |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.float32, np.complex128, np.complex64):
        differ = {"column": 0, "small": 0, "large": 0}
        for number in range(shapes):
            m = int(rng.integers(1, 600 if number % 3 else 40))
            n = int(rng.integers(1, 600 if number % 2 else 40))
            l = int(rng.choice([1, 2, 3, 7, 20, 32, 64, 96, 110]))
            whole = rng.standard_normal((m + 3, n + 5)).astype(dtype)
            if np.iscomplexobj(whole):
                whole = (whole + 1j * rng.standard_normal(whole.shape)).astype(dtype)
            view = whole[1 : m + 1, 2 : n + 2]
            A = np.ascontiguousarray(view)
            X, Y = rng.standard_normal((n, l)).astype(dtype), rng.standard_normal((m, l)).astype(dtype)
            size = "column" if l == 1 else "small" if m * n * l <= LIMIT else "large"
            for other in (view, np.asfortranarray(A)):
                same = np.array_equal(A @ X, other @ X)
                differ[size] += not (same and np.array_equal(A.conj().T @ Y, other.conj().T @ Y))
        print(f"| {np.dtype(dtype)} | {2 * shapes} | {differ['column']} | {differ['small']} | {differ['large']} |")


if __name__ == "__main__":
    with single_threaded():
        main(*map(int, sys.argv[1:]))
