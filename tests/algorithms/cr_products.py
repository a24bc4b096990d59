"""Products to be sampled, and what their samples are held against."""

from __future__ import annotations

import numpy as np

import lowrank_cli
from lowrank_cli.algorithms.cr import CROptions

#: Right on average, whatever the product.
UNBIASED = ("optimal", "without-replacement", "uniform", "threshold", "priority", "wta")
#: Not random.
CHOSEN = ("top", "least-squares", "greedy")
#: Of those the ones whose weights are the best there are.
BEST = ("least-squares", "greedy")
SCHEMES = (*UNBIASED, *CHOSEN)
SEEDS = 400


def cr(X, Y, rank=None, scheme="auto", shrink=False, **asked):
    options = CROptions(scheme=scheme, shrink=shrink)
    return lowrank_cli.approx(X, times=Y, rank=rank, method="cr", options=options, threads=1, **asked)


def pair(m=9, l=14, n=8, seed=1, dtype="float64"):
    """Pairs of unequal weight, so that the schemes differ."""
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((m, l)), rng.standard_normal((l, n))
    if np.dtype(dtype).kind == "c":
        X, Y = X + 1j * rng.standard_normal((m, l)), Y + 1j * rng.standard_normal((l, n))
    weights = np.arange(1, l + 1) ** -0.8
    return (X * weights).astype(dtype), Y.astype(dtype)


def gram(X, Y):
    """G with c^H G c = |sum c_i x_i y_i|^2 for real c."""
    return np.real((X.conj().T @ X) * (Y @ Y.conj().T).T)


def lengths(X, Y):
    return np.linalg.norm(X, axis=0) * np.linalg.norm(Y, axis=1)


def squared_error(factor, X, Y):
    return float(np.linalg.norm(X @ Y - factor.C @ factor.R) ** 2)


def coefficients(factor, l):
    """w - 1 for the weights w that the scale of a factor stands for, signs included."""
    return np.bincount(factor.index, weights=factor.scale * np.abs(factor.scale), minlength=l) - 1


def within_four_standard_errors(sample, expected):
    sample = np.asarray(sample)
    return abs(sample.mean() - expected) <= 4 * sample.std(ddof=1) / np.sqrt(len(sample))
