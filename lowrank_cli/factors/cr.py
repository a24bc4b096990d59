"""Column-row approximation of a product: X Y ~ C R."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class CR(Factorization):
    """C (m, r) holds the columns X[:, index] times scale, R (r, n) the rows Y[index, :] times |scale|.

    scale (r,) is the square root of each pair's weight, with its sign: C R = sum_t scale_t |scale_t| X[:, index_t]
    Y[index_t, :]. Weights below zero come from least squares only. An index may repeat when sampling is with
    replacement.
    """

    kind = "cr"
    product = "C R"

    index: np.ndarray
    scale: np.ndarray
    C: np.ndarray
    R: np.ndarray

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.C, self.R
