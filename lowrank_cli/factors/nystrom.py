"""Nystrom approximation of a positive semidefinite matrix: A ~ F F^H."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Nystrom(Factorization):
    """F (n, k): F F^H is positive semidefinite, its columns orthogonal and the longest first."""

    kind = "nystrom"
    product = "F F^H"

    F: np.ndarray

    def fits(self) -> bool:
        return self.F.ndim == 2

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.F, self.F.conj().T


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnNystrom(Factorization):
    """F (n, k), the first k columns of a pivoted Cholesky factor: F F^H agrees with A in the columns and rows ``cols``
    (k,), which are in the order they were chosen."""

    kind = "nystrom"
    product = "F F^H"

    cols: np.ndarray
    F: np.ndarray

    def fits(self) -> bool:
        n, k = self.F.shape
        whole = self.cols.dtype.kind == "i" and self.cols.shape == (k,)
        return whole and bool((self.cols >= 0).all() and (self.cols < n).all())

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.F, self.F.conj().T
