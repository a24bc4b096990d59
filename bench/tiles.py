"""At what share of its best rate BLAS multiplies one tile by a narrow block, in cache and from memory, on one thread.

Usage: python bench/tiles.py. Prints a markdown table: percent of the rate of a square product of side 1024 in the same
precision.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lowrank_cli.engines.blas import single_threaded

SIDE, TILES = 512, 48


def seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """The least of some rounds."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    rng = np.random.default_rng(0)
    print("| precision | columns | A X, in cache | A^T Y | Y^T A | A X, from memory | A^T Y | Y^T A |")
    print("|---|---|---|---|---|---|---|---|")
    for dtype in (np.float32, np.float64):
        square = rng.standard_normal((1024, 1024)).astype(dtype)
        best = 2 * 1024**3 / seconds(lambda s=square: s @ s)
        wide = rng.standard_normal((SIDE, SIDE * TILES)).astype(dtype)
        tiles = [wide[:, SIDE * i : SIDE * (i + 1)] for i in range(TILES)]
        for columns in (32, 64, 96, 112):
            X = rng.standard_normal((SIDE, columns)).astype(dtype)
            out, across, Xt = np.empty_like(X), np.empty((columns, SIDE), dtype), np.ascontiguousarray(X.T)
            flops = 2 * SIDE * SIDE * columns * TILES
            shares = []
            for chosen in ([tiles[0]] * TILES, tiles):
                for operands in (
                    lambda tile, X=X, out=out: (tile, X, out),
                    lambda tile, X=X, out=out: (tile.T, X, out),
                    lambda tile, Xt=Xt, across=across: (Xt, tile, across),
                ):

                    def run(chosen=chosen, operands=operands) -> None:
                        for tile in chosen:
                            left, right, result = operands(tile)
                            np.matmul(left, right, out=result)

                    shares.append(f"{100 * flops / seconds(run) / best:.0f} %")
            print(f"| {np.dtype(dtype).name} | {columns} | " + " | ".join(shares) + " |")


if __name__ == "__main__":
    with single_threaded():
        main()
