"""Bounds from stored Gaussian probes: no further pass, and a stated probability of being wrong."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..matrices.protocols import Operator
from ..sketches.gaussian import gaussian
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

#: Probes of a certificate. With failure probability 1e-6 the Frobenius bound is then 2.80 times the estimate.
COUNT = 20


@dataclasses.dataclass(frozen=True, eq=False)
class StoredProbes:
    """Gaussian G (n, r) that no sketch and no stopping rule has seen, and A G (m, r)."""

    G: numpy.ndarray
    AG: numpy.ndarray

    def residual_square(self, factor: Operator) -> float:
        """|(A - F) G|_F^2, in float64; its mean is r |A - F|_F^2."""
        left = self.AG - factor.matmat(self.G)
        return float(np.sum(np.square(np.abs(left).astype(np.float64))))

    def spectral_lower(self, matrix: Metered) -> float:
        """A lower bound of |A|_2 that always holds: |A^H Q|_2 for Q an orthonormal basis of A G. One pass."""
        Q = orthonormalize(np.ascontiguousarray(self.AG[:, : min(self.AG.shape)]), matrix.engine)[0]
        return float(np.linalg.norm(matrix.rmatmat(Q), 2))


def drawn(matrix: Metered, streams: Streams, purpose: str = "certificate") -> numpy.ndarray:
    """Probes for that matrix."""
    return gaussian(streams, purpose, matrix.shape[1], COUNT, matrix.dtype)


def store(matrix: Metered, streams: Streams, purpose: str = "certificate") -> StoredProbes:
    """Take the probes in a pass of their own."""
    G = drawn(matrix, streams, purpose)
    return StoredProbes(G, matrix.matmat(G))


def chi_square_quantile(delta: float, r: int, complex_: bool = False) -> float:
    """q with P(sum of r squared standard normal numbers <= q) = delta; complex: of |z|^2 with E|z|^2 = 1."""
    from scipy.special import gammaincinv

    return float(gammaincinv(r, delta)) if complex_ else 2 * float(gammaincinv(r / 2, delta))


def bound(residual_square: float, delta: float, r: int, complex_: bool = False) -> float:
    """An upper bound of |E|_2 and of |E|_F that fails with probability at most delta.

    |E G|_F / sqrt(q), q the delta-quantile of chi-square with r degrees of freedom: |E G|_F^2 is a sum of s_i^2 times
    independent chi-squares, so it is at least s_1^2 times one; and of all E of the same Frobenius norm one of rank 1
    has the heaviest lower tail, for small delta. (Halko, Martinsson and Tropp 2011, Lemma 4.1, has a maximum over
    probes and a looser constant.)
    """
    return math.sqrt(residual_square / chi_square_quantile(delta, r, complex_))
