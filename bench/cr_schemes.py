"""Squared error of each CR scheme over |XY|^2, its mean over seeds beside the one predicted.

Usage: python bench/cr_schemes.py [seeds]. X 80 x 40 with column lengths falling to 1/30, Y 40 x 60, 12 pairs.
"""

from __future__ import annotations

import sys

import numpy as np

import lowrank_cli
from lowrank_cli.algorithms.cr import SCHEMES, CROptions


def main(seeds: int = 400) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 40)) * np.logspace(0, -1.5, 40)
    Y = rng.standard_normal((40, 60))
    exact = X @ Y
    print("| scheme | mean measured | mean predicted |")
    print("|---|---|---|")
    for scheme in SCHEMES[1:]:
        measured, predicted = [], []
        for seed in range(seeds):
            options = CROptions(scheme=scheme)
            found = lowrank_cli.approx(X, times=Y, rank=12, method="cr", options=options, seed=seed, certify="none")
            error = np.linalg.norm(exact - found.factor.reconstruct()) / np.linalg.norm(exact)
            measured.append(error**2)
            predicted.append(found.facts["predicted_relative"] ** 2)
        print(f"| {scheme} | {np.mean(measured):.3f} | {np.mean(predicted):.3f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
