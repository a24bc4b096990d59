"""How often a bound may fail before we say that it does not keep its word, and residuals to count failures on."""

from __future__ import annotations

import gallery
import numpy as np

from lowrank_cli.api import tiled
from lowrank_cli.engines.threads import engine_for
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.metered import Metered

#: How often a correct bound fails one of these tests by bad luck.
FALSE_ALARM = 1e-6
M, N = 14, 9

#: Singular values of the residual. Rank one is the worst case of the bound, for the Frobenius and the spectral norm.
RESIDUALS = {
    "rank one": np.array([1.0]),
    "spike over a floor": np.array([1.0] + [0.15] * (N - 1)),
    "flat": np.ones(N),
    "geometric": 0.5 ** np.arange(N),
}


def most(trials: int, probability: float) -> int:
    """The largest count of failures that chance explains: more happen with probability at most FALSE_ALARM."""
    from scipy.special import bdtrc

    count = int(trials * probability)
    while bdtrc(count, trials, probability) > FALSE_ALARM:
        count += 1
    return count


def least(trials: int, probability: float) -> int:
    """The smallest count that chance explains."""
    from scipy.special import bdtr

    count = int(trials * probability)
    while count > 0 and bdtr(count - 1, trials, probability) > FALSE_ALARM:
        count -= 1
    return count


def with_residual(s: np.ndarray, dtype: str = "float64") -> tuple[np.ndarray, SVD]:
    """(A, F) with A - F of the singular values s, up to rounding, and F of rank 2."""
    E, _ = gallery.with_spectrum(M, N, s, seed=5, dtype=dtype)
    rng = np.random.default_rng(6)
    complex_ = E.dtype.kind == "c"
    U = gallery.orthonormal(M, 2, rng, complex_=complex_).astype(dtype)
    V = gallery.orthonormal(N, 2, rng, complex_=complex_).astype(dtype)
    F = SVD(U, np.array([3.0, 2.0], dtype=E.real.dtype), np.ascontiguousarray(V.conj().T))
    return F.reconstruct() + E, F


def metered(A, threads: int = 1) -> Metered:
    """A matrix as the methods see it."""
    return Metered(tiled(from_array(A), engine_for(threads)))
