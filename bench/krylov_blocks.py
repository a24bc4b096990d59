"""How fast a block Krylov basis reaches the best Frobenius error: excess by number and width of blocks.

Usage: python bench/krylov_blocks.py [m n k]. Prints a markdown table; counts accuracy and columns, not seconds.
"""

from __future__ import annotations

import sys

import numpy as np
from spectra import SPECTRA, matrix

from lowrank_cli.algorithms.krylov import BlockKrylov
from lowrank_cli.engines.blas import single_threaded
from lowrank_cli.engines.threads import available_threads, engine_for
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams


def main(m: int = 4000, n: int = 3000, k: int = 100) -> None:
    print("| spectrum | width | blocks | basis | excess over the best | last gain / squared error |")
    print("|---|---|---|---|---|---|")
    for name in SPECTRA:
        A, s = matrix(name, m, n)
        best, total = float(np.sum(s[k:] ** 2)), float(np.sum(s**2))
        for width in (32, 64):
            basis = BlockKrylov(Metered(TiledMatrix(A, engine_for(available_threads()))), Streams(0))
            basis.start(width, fused=True)
            before = None
            for blocks in range(2, 7):
                basis.expand(width, fused=True)
                if basis.size < k + 8:
                    continue
                captured = float(np.sum(basis.ritz_squares()[:k]))
                excess = np.sqrt((total - captured) / best) - 1
                gain = "" if before is None else f"{(captured - before) / (total - captured):.1e}"
                print(f"| {name} | {width} | {blocks} | {basis.size} | {excess:.1e} | {gain} |")
                before = captured


if __name__ == "__main__":
    with single_threaded():
        main(*map(int, sys.argv[1:]))
