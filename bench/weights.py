"""What weights cost in digits: the weighted error over the least there is, from the data, from their Gram matrix, and
from the Cholesky factor of that with its inverse.

Usage: python bench/weights.py. Prints a markdown table; counts errors, not seconds. 20 x 20, 400 activations.
"""

from __future__ import annotations

import numpy as np

import lowrank_cli

SPREADS, RANKS = (1e-4, 1e-8, 1e-12), (10, 18)


def orthonormal(m: int, k: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((m, k)))[0]


def with_cholesky(A: np.ndarray, H: np.ndarray, k: int) -> np.ndarray | None:
    """[A S]_k S^-1 for H = S S^T; None where H has no Cholesky factor."""
    try:
        S = np.linalg.cholesky(H)
    except np.linalg.LinAlgError:
        return None
    U, s, Vh = np.linalg.svd(A @ S)
    return ((U[:, :k] * s[:k]) @ Vh[:k]) @ np.linalg.inv(S)


def main() -> None:
    n = 20
    A = (orthonormal(n, n, 1) * np.linspace(2, 1, n)) @ orthonormal(n, n, 2).T
    print("| least spread of the data | rank | --weight X | --gram H | Cholesky and inverse |")
    print("|---|---|---|---|---|")
    for spread in SPREADS:
        X = (orthonormal(400, n, 3) * np.geomspace(1, spread, n)) @ orthonormal(n, n, 4).T
        H = X.T @ X
        s = np.linalg.svd(A @ X.T, compute_uv=False)
        for k in RANKS:
            found = [lowrank_cli.approx(A, rank=k, **w).factor.reconstruct() for w in ({"weight": X}, {"gram": H})]
            made = [*found, with_cholesky(A, H, k)]
            best = np.linalg.norm(s[k:])
            cells = ["fails" if B is None else f"{np.linalg.norm((A - B) @ X.T) / best:.4g}" for B in made]
            print(f"| {spread:g} | {k} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
