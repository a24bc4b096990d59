"""The error of an interpolative decomposition by how columns are chosen.

Pivots of a sketch, of a short Krylov space, of the matrix; Osinsky's rule, alone and in --quality bound.

Usage: python bench/id_pivots.py [m n k]. Ratios to the best error of the same rank; Z by least squares in every case.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.linalg import qr
from spectra import SPECTRA, matrix

import lowrank_cli
from lowrank_cli.algorithms.id_bound import _osinsky
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.kernels.pivoting import pivoted_qr
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered


def ratio(A: np.ndarray, cols: np.ndarray, best: float) -> float:
    Q = np.linalg.qr(A[:, cols])[0]
    return float(np.linalg.norm(A - Q @ (Q.T @ A))) / best


def main(m: int = 4000, n: int = 3000, k: int = 100) -> None:
    print("| spectrum | sketch alone | three Krylov blocks (ours) | LAPACK geqp3 | Osinsky | quality bound (ours) |")
    print("|---|---|---|---|---|---|")
    for name in SPECTRA:
        A, s = matrix(name, m, n)
        best = float(np.sqrt(np.sum(s[k:] ** 2)))
        Y = np.random.default_rng(1).standard_normal((k + 28, m)) @ A
        bare = ratio(A, pivoted_qr(Y, k).pivots, best)
        ours = ratio(A, lowrank_cli.approx(A, rank=k, method="id", certify="none").factor.cols, best)
        lapack = ratio(A, qr(A, mode="r", pivoting=True)[1][:k], best)
        V = np.ascontiguousarray(np.linalg.svd(A, full_matrices=False)[2][:k].T)
        rule = ratio(A, _osinsky(Metered(TiledMatrix(A)), V, 0.0)[0], best)
        options = IDOptions(quality="bound")
        bound = lowrank_cli.approx(A, rank=k, method="id", options=options, certify="none").factor.cols
        print(f"| {name} | {bare:.3f} | {ours:.3f} | {lapack:.3f} | {rule:.3f} | {ratio(A, bound, best):.3f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
