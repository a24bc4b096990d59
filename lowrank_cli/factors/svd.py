"""Truncated singular value decomposition: A ~ U diag(s) Vh."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class SVD(Factorization):
    """U (m, k) and Vh (k, n) have orthonormal columns and rows; s (k,) is non-negative and non-increasing.

    Signs by rule: in each column of U the entry of largest modulus, the first such, is real and positive.
    """

    kind = "svd"
    product = "U diag(s) Vh"

    U: np.ndarray
    s: np.ndarray
    Vh: np.ndarray

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.U * self.s, self.Vh
