"""A pair of adapter matrices, as low-rank adaptation of networks (LoRA) keeps them: A ~ (alpha / k) lora_B lora_A."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..matrices.tiles import scale_exactly
from .base import Factorization, Pair

if TYPE_CHECKING:
    import numpy


def is_bfloat16(X: numpy.ndarray) -> bool:
    """Whether bfloat16, the upper halves of float32, has all of these values."""
    return not np.any(np.asarray(X).view(np.uint32) & 0xFFFF)


@dataclasses.dataclass(frozen=True, eq=False)
class LoRA(Factorization):
    """lora_A (k, n), lora_B (m, k), alpha (1,), which is wider where their type has not its value.

    Products with float16 are in single precision.
    """

    kind = "lora"
    product = "(alpha / k) lora_B lora_A"

    lora_A: numpy.ndarray
    lora_B: numpy.ndarray
    alpha: numpy.ndarray

    def pair(self) -> tuple[Any, Any]:
        mantissa, exponent = math.frexp(float(self.alpha[0]) / len(self.lora_A))
        B, A = (X.astype(np.float32) if X.dtype == np.float16 else X for X in (self.lora_B, self.lora_A))
        if (mantissa, exponent) == (0.5, 1):
            return B, A
        return scale_exactly(B * B.real.dtype.type(mantissa), exponent), A

    def fits(self) -> bool:
        return self.alpha.shape == (1,) and super().fits()

    @property
    def nbytes(self) -> int:
        """That of values that bfloat16 has too, which NumPy holds in float32, is counted as of bfloat16."""
        arrays = self.arrays().values()
        return sum(X.nbytes // 2 if X.dtype == np.float32 and is_bfloat16(X) else X.nbytes for X in arrays)

    def scaled(self, exponent: int) -> Pair:
        """In the type of the products, as float16 cannot be scaled exactly; half of it in each factor, so that neither
        overflows."""
        half = exponent // 2
        L, R = (np.ascontiguousarray(X) for X in self.pair())
        return Pair(scale_exactly(L, half), scale_exactly(R, exponent - half))
