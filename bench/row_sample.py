"""What a sample of the rows is worth to a matrix that is read in few passes: passes and excess error with and without.

Matrices of 20000 x 600, of which a twelfth is read beforehand, are taken for large ones; the excess of the Frobenius
error over the best one is measured by LAPACK.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import spectra

from lowrank_cli.algorithms import TABLE, few_passes, row_sample
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

M, N, RANK = 20_000, 600, 20


def matrices() -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.standard_normal((N, RANK)))[0] * np.linspace(10, 1, RANK)
    signal, noise = rng.standard_normal((M, RANK)) @ V.T, 0.1 * rng.standard_normal((M, N))
    yield "rank 20 and noise", signal + noise
    event = np.zeros((M, N))
    event[7000:7100] = np.outer(rng.standard_normal(100), rng.standard_normal(N))
    yield "the same, an event of 100 rows", signal + noise + event
    row = np.zeros((M, N))
    row[7000] = 15 * rng.standard_normal(N)
    yield "the same, one row that stands out", signal + noise + row
    yield "the same, signal sorted", np.sort(signal, axis=0) + noise
    waves = np.sin(np.pi * np.linspace(0, 1, M)[:, None] * np.arange(1, 61)) / np.arange(1, 61)
    yield "sixty waves and noise", waves @ rng.standard_normal((60, N)) + 0.1 * noise
    yield "random walks", np.cumsum(rng.standard_normal((M, N)), axis=0)
    for name in spectra.SPECTRA:
        yield name, spectra.matrix(name, M, N)[0]


def main() -> None:
    few_passes.LARGE = 1
    print(f"{'':36}{'with a sample':>22}{'without':>20}")
    print(f"{'':36}" + 2 * f"{'passes':>10}{'excess':>10}")
    how = TABLE["svd"].load()
    for name, A in matrices():
        best = float(np.sqrt(np.sum(np.linalg.svd(A, compute_uv=False)[RANK:] ** 2)))
        cells = ""
        for share in (12, 10**9):
            row_sample.SHARE = share
            matrix = Metered(TiledMatrix(A, ThreadEngine(2)))
            outcome = how.run(matrix, how.settled(Budget(rank=RANK), once=False), how.options(), Streams(0))
            excess = float(np.linalg.norm(A - outcome.factor.reconstruct())) / best - 1
            cells += f"{outcome.ledger.passes:10}{max(excess, 0.0):10.1e}"
        print(f"{name:36}{cells}")


if __name__ == "__main__":
    main()
