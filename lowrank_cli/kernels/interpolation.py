"""Interpolation coefficients: every column from the pivots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NumericalError
from ..lazy import np
from . import jit

if TYPE_CHECKING:
    import numpy

#: Rows solved one by one between products, and columns solved while they stay in cache.
_ROWS = 32
_COLUMNS = 2048


def coefficients(R: numpy.ndarray, pivots: numpy.ndarray, compiled: bool = False) -> numpy.ndarray:
    """Z (r, n), C-ordered, with R[:, pivots] Z = R and Z[:, pivots] exactly the identity.

    R (r, n) and pivots (r,) as ``pivoting.pivoted_qr`` gives them: R[:, pivots] upper triangular, so back substitution
    solves it; with pivots above rounding noise the entries stay finite however small the last ones are. Raises
    NumericalError when a diagonal entry is zero. Cost: r^2 n flops, memory r n.
    """
    T = np.ascontiguousarray(R[:, pivots])
    zero = np.flatnonzero(T.diagonal() == 0)
    if len(zero):
        raise NumericalError(
            f"pivot {int(zero[0])} of {len(pivots)} is zero, so its coefficients do not exist",
            hint="stop the factorization at a smaller rank",
        )
    module = jit.compiled() if compiled else None
    if module is not None and R.dtype.char in "fd":
        Z = np.array(R, order="C")
        module.back_substitute(jit.frozen(T), Z)
    else:
        Z = coefficients_numpy(T, R)
    Z[:, pivots] = np.eye(len(pivots), dtype=Z.dtype)
    return Z


def seconds_saved(r: int, n: int) -> float:
    """Estimated saving of the kernel over the twin: one copy in cache per panel; BLAS catches up near r = 100."""
    return r * n * max(0.0, 2e-9 - 2e-11 * r)


def coefficients_numpy(T: numpy.ndarray, R: numpy.ndarray) -> numpy.ndarray:
    """The twin: T^-1 R by back substitution in blocks of rows; only the upper triangle of T is read."""
    r, n = R.shape
    Z = np.array(R, order="C")
    for left in range(0, n, _COLUMNS):
        panel = Z[:, left : left + _COLUMNS]
        for stop in range(r, 0, -_ROWS):
            start = max(0, stop - _ROWS)
            for i in range(stop - 1, start - 1, -1):
                panel[i] -= T[i, i + 1 : stop] @ panel[i + 1 : stop]
                panel[i] /= T[i, i]
            panel[:start] -= T[:start, start:stop] @ panel[start:stop]
    return Z
