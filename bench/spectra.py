"""The three test matrices of the benchmarks: known singular values, Haar-like singular vectors."""

from __future__ import annotations

import numpy as np

SPECTRA = {
    "1/i": lambda i: 1.0 / i,
    "i^-1/2": lambda i: i**-0.5,
    "exp(-i/20)": lambda i: np.exp(-i / 20.0),
}


def matrix(name: str, m: int = 4000, n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(A, s) with A (m, n) = U diag(s) V^T, U and V from QR of Gaussian matrices."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((m, n)))[0]
    V = np.linalg.qr(rng.standard_normal((n, n)))[0]
    s = SPECTRA[name](np.arange(1, n + 1))
    return (U * s) @ V.T, s
