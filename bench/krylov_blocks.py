"""How fast a block Krylov basis in single precision reaches the best Frobenius error, and what the last product adds.

Usage: python bench/krylov_blocks.py [m n k]. Prints a markdown table; counts accuracy and columns, not seconds. The
last block is 16 columns wider than the others, as in ``lowrank_cli.algorithms.bases``; "by the rule": of the block
before it only the directions that promise something are multiplied.
"""

from __future__ import annotations

import sys

import numpy as np
from spectra import SPECTRA, matrix

from lowrank_cli.algorithms.bases import FRESH, Grown
from lowrank_cli.algorithms.krylov import BlockKrylov
from lowrank_cli.algorithms.scaling import bring_to_scale, lowered
from lowrank_cli.algorithms.svd_sources import Refined
from lowrank_cli.engines.blas import single_threaded
from lowrank_cli.engines.threads import available_threads, engine_for
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams


def main(m: int = 4000, n: int = 3000, k: int = 100) -> None:
    print("| spectrum | width | blocks | columns multiplied | excess of the basis | with the last product |")
    print("|---|---|---|---|---|---|")
    for name in SPECTRA:
        A, s = matrix(name, m, n)
        best, total = float(np.sum(s[k:] ** 2)), float(np.sum(s**2))
        scaled = bring_to_scale(Metered(TiledMatrix(A, engine_for(available_threads()))))
        low, exponent = lowered(scaled)
        for width, most in ((32, 7), (48, 5), (64, 4)):
            for blocks, rule in ((most - 1, False), (most, False), (most, True)):
                basis = BlockKrylov(low, Streams(0))
                basis.start(width, fused=True)
                for _ in range(2, blocks):
                    basis.expand(width, fused=False)
                needed = basis.needed(k) if rule else None
                last = width if needed is None else needed.shape[1]
                basis.expand(last + FRESH, False, needed)
                grown = Grown(basis, exponent)
                found = Refined(scaled.matrix, grown, total**0.5).triplets(k)[1]
                before, after = (np.sqrt((total - np.sum(x)) / best) - 1 for x in (grown.squares()[:k], found**2))
                columns = 2 * (width * (blocks - 1) + last + FRESH)
                what = f"{blocks}, by the rule" if rule else blocks
                print(f"| {name} | {width} | {what} | {columns} | {before:.1e} | {after:.1e} |")


if __name__ == "__main__":
    with single_threaded():
        main(*map(int, sys.argv[1:]))
