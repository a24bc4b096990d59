"""What a CUR may store as its core, and which rows of singular vectors to choose.

Usage: python bench/cur_core.py. Relative Frobenius errors, against the least that the columns and rows chosen allow.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lu, qr
from spectra import SPECTRA, matrix

import lowrank_cli
from lowrank_cli.algorithms.cur import CUROptions
from lowrank_cli.factors.cur import basis
from lowrank_cli.kernels.basis_rows import growth


def cores() -> None:
    print("| matrix, rank | condition of C | Q_C G Q_R^H (ours) | C U R, all of U | C U R, U as stored |")
    print("|---|---|---|---|---|")
    i = np.arange(20)
    hilbert = 1.0 / (i[:, None] + i + 1)
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, 200)))[0] for n in (300, 250))
    fast = (U * np.exp(-0.2 * np.arange(200))) @ V.T
    for name, A, k in (
        ("Hilbert 20, 6", hilbert, 6),
        ("Hilbert 20, 10", hilbert, 10),
        ("exp(-i/5), 50", fast, 50),
        ("exp(-i/5), 100", fast, 100),
        ("exp(-i/5), 150", fast, 150),
    ):
        F = lowrank_cli.approx(A, rank=k, method="cur").factor
        R_C, R_R = basis(F.C)[1], basis(F.R.T)[1]
        whole = np.linalg.solve(R_C, np.linalg.solve(R_R, F.G.T).T)
        made = (F.reconstruct(), F.C @ whole @ F.R, F.C @ F.U @ F.R)
        errors = " | ".join(f"{np.linalg.norm(A - B) / np.linalg.norm(A):.1e}" for B in made)
        print(f"| {name} | {np.linalg.cond(F.C):.0e} | {errors} |")


def rules(k: int = 30) -> None:
    print("\n| 600 x 500, rank 30 | pivots | Q-DEIM | DEIM | growth, Q-DEIM | growth, DEIM |")
    print("|---|---|---|---|---|---|")
    for name in SPECTRA:
        A, s = matrix(name, 600, 500)
        best = float(np.sqrt(np.sum(s[k:] ** 2)))
        U, _, Vh = np.linalg.svd(A, full_matrices=False)
        sides = Vh[:k].T, U[:, :k]
        chosen = {
            "pivots": [qr(B, mode="r", pivoting=True)[1][:k] for B in (A, A.T)],
            "Q-DEIM": [qr(V.T, mode="r", pivoting=True)[1][:k] for V in sides],
            "DEIM": [np.argmax(lu(V)[0], axis=0)[:k] for V in sides],
        }
        ratios = " | ".join(f"{_error(A, *chosen[rule]) / best:.3f}" for rule in chosen)
        grown = " | ".join(
            f"{max(growth(V, at) for V, at in zip(sides, chosen[rule], strict=True)):.1f}"
            for rule in ("Q-DEIM", "DEIM")
        )
        print(f"| {name} | {ratios} | {grown} |")


def draws(k: int = 30) -> None:
    print("\n| 600 x 500, rank 30, mean of 10 seeds | deim | adaptive | leverage | pivots, intersection core |")
    print("|---|---|---|---|---|")
    for name in SPECTRA:
        A, s = matrix(name, 600, 500)
        best = float(np.sqrt(np.sum(s[k:] ** 2)))
        asked = [CUROptions(select) for select in ("deim", "adaptive", "leverage")] + [CUROptions(core="intersection")]
        means = [
            np.mean(
                [
                    lowrank_cli.approx(A, rank=k, method="cur", options=options, seed=seed).certificate.absolute / best
                    for seed in range(10)
                ]
            )
            for options in asked
        ]
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def _error(A: np.ndarray, cols: np.ndarray, rows: np.ndarray) -> float:
    Q_C, Q_R = np.linalg.qr(A[:, cols])[0], np.linalg.qr(A[rows].T)[0]
    return float(np.linalg.norm(A - Q_C @ (Q_C.T @ A @ Q_R) @ Q_R.T))


if __name__ == "__main__":
    cores()
    rules()
    draws()
