"""A saved factorization times a block of columns: what having factors is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..api import tiled
from ..engines.threads import SerialEngine
from ..errors import NumericalError, UsageError
from ..factors.base import Approximation, dense
from ..lazy import np
from ..memory import require

if TYPE_CHECKING:
    import numpy

    from ..formats.loaded import Loaded


def apply(factor: Approximation, block: Loaded, *, adjoint: bool = False, blas_pinned: bool = False) -> numpy.ndarray:
    """F X for a block X (n, l), or with adjoint F^H X for X (m, l); F of shape (m, n) and rank r is never formed.

    In the wider of the two dtypes. The bits do not depend on how X was stored. Cost: 2 (m + n) r l flops for dense
    factors. Raises UsageError when the shapes do not chain, InputError (NaN, Inf in X), ResourceError, NumericalError
    when the product overflows.
    """
    from ..engines.blas import single_threaded

    (m, n), (rows, l) = factor.shape, block.shape
    wanted, other = (m, n) if adjoint else (n, m)
    if rows != wanted:
        what = "its adjoint takes" if adjoint else "it takes"
        turned = "leave out --adjoint" if adjoint else "give --adjoint"
        raise UsageError(
            f"the factors are {m}x{n}, so {what} a block of {wanted} rows, not the {rows}x{l} given",
            where=block.where,
            hint=f"{turned} to multiply by the {'factors themselves' if adjoint else 'adjoint'}"
            if rows == other
            else "transpose the block, or name another",
        )
    dtype = np.result_type(factor.dtype, block.array.dtype)
    require(other * l * dtype.itemsize, f"the {other}x{l} product", "multiply fewer columns at a time")
    tiled(block, SerialEngine()).sweep()
    X = np.ascontiguousarray(dense(block.array))
    with single_threaded(blas_pinned), np.errstate(over="ignore", invalid="ignore"):
        Y = np.ascontiguousarray(factor.rmatmat(X) if adjoint else factor.matmat(X), dtype=dtype)
    if not np.all(np.isfinite(Y)):
        raise NumericalError("the product overflows", hint="scale the block down")
    return Y
