"""Approximations one factor of which was given; the other, or a product of two, is what was looked for."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Given(Factorization):
    """A ~ L R, of which L (m, k) or R (k, n) is a given matrix, bit for bit, dense or sparse as it was."""

    kind = "given"
    product = "L R"

    L: Any
    R: Any

    def pair(self) -> tuple[Any, Any]:
        return self.L, self.R


@dataclasses.dataclass(frozen=True, eq=False)
class GivenReduced(Factorization):
    """A ~ L W R of a rank k below the inner side of the given factor: with L (m, p) given W (p, k) and R (k, n) were
    found; with R (p, n) given L (m, k) and W (k, p)."""

    kind = "given"
    product = "L W R"

    L: Any
    W: np.ndarray
    R: Any

    def pair(self) -> tuple[Any, Any]:
        return self._folded

    @functools.cached_property
    def _folded(self) -> tuple[Any, Any]:
        """The given factor and W as one, of inner side k."""
        p, q = self.W.shape
        return (self.L @ self.W, self.R) if p >= q else (self.L, self.W @ self.R)
