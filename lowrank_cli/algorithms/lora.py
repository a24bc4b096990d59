"""LoRA: the truncated SVD as a pair of adapter matrices, in the type in which the matrix is stored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..budget import Budget
from ..errors import NumericalError
from ..factors.base import columns_scaled
from ..factors.lora import LoRA
from ..lazy import np
from ..matrices.metered import Metered
from ..streams import Streams
from . import few_passes
from .method import Method
from .outcome import Outcome, Status
from .svd import SVDOptions, truncated

if TYPE_CHECKING:
    import numpy

    from ..factors.svd import SVD


@dataclasses.dataclass(frozen=True)
class LoRAOptions:
    """None: rank or tolerance say all."""


def run(matrix: Metered, budget: Budget, options: LoRAOptions, streams: Streams) -> Outcome:
    """A ~ (alpha / k) lora_B lora_A with alpha = k: lora_B = U diag(s)^(1/2) and lora_A = diag(s)^(1/2) Vh, rounded.

    U, s and Vh are those of ``svd``. Both factors have the same Frobenius norm but for rounding, which is to the type
    the values are stored in where that is float16 or bfloat16, else to the one that is computed in. What is measured,
    and held against a tolerance, is the rounded pair. Passes and flops are those of ``svd``.

    Raises what ``svd`` raises, and NumericalError where an entry overflows the type. Hu et al. 2021.
    """
    kept = matrix.stored if matrix.stored in _NARROW else np.dtype(matrix.dtype).name

    def form(factor: SVD) -> LoRA:
        root = np.sqrt(factor.s)
        B = np.asarray(columns_scaled(factor.U, root))
        A = root[:, None] * factor.Vh
        alpha = np.full(1, factor.rank, factor.s.dtype)
        exact = rounded(alpha, kept)
        return LoRA(rounded(A, kept), rounded(B, kept), exact if exact == alpha else alpha)

    outcome = truncated(matrix, budget, SVDOptions(), streams, form)
    outcome.facts["factor_dtype"] = kept
    if outcome.status is Status.STAGNATED and kept in _NARROW:
        outcome.facts["warnings"] = [f"rounding the factors to {kept} leaves more than the tolerance allows"]
    return outcome


def rounded(X: numpy.ndarray, kept: str) -> numpy.ndarray:
    """X with values of that type: to the nearest, ties to even. bfloat16, which NumPy has not, stays in float32, the
    lower half of whose bits is then zero. Raises NumericalError on overflow."""
    if kept not in _NARROW:
        return np.ascontiguousarray(X)
    with np.errstate(over="ignore"):
        made = X.astype(np.float16, order="C") if kept == "float16" else _bfloat16(X)
    if not np.all(np.isfinite(made)):
        raise NumericalError(f"an entry of the adapter overflows {kept}", hint="scale the matrix down")
    return made


def _bfloat16(X: numpy.ndarray) -> numpy.ndarray:
    bits = np.ascontiguousarray(X, np.float32).view(np.uint32)
    # half a unit of the last place, less the bit of it that would break a tie away from an even one
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


_NARROW = ("float16", "bfloat16")

METHOD = Method(
    name="lora",
    options=LoRAOptions,
    run=run,
    identity="A ~ (alpha / k) lora_B lora_A, alpha = k",
    cost="as svd",
    reference="Hu et al. 2021",
    guarantee="as svd, of the factors as they are rounded to the type of the input",
    choose="adapters for networks, under the names and in the type in which they are loaded",
    spectrum=True,
    single_pass=True,
    least_passes=few_passes.LEAST,
    narrow=True,
)
