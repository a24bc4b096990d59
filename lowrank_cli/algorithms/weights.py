"""A square root of the weights of an error: S with S S^H = H, from the data behind H or from H itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..lazy import np
from ..matrices.metered import Metered
from .scaling import Scaled, bring_to_scale

if TYPE_CHECKING:
    import numpy

#: Least rows of X that go into its QR at a time, fixed so that bits do not depend on how X is stored.
_ROWS = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Root:
    """S (n, q) in double precision with S S^H = H 2**-(2 exponent)."""

    S: numpy.ndarray
    exponent: int
    kernels: list[str]


def root(kind: str, weights: Metered, shape: tuple[int, int]) -> Root:
    """S for "weight", X (N x n): X^T, or R^T of its QR when it has more rows than columns; for "gram", H (n x n).

    In double precision whatever the weights are stored in. Cost: two passes over the weights, 2 N n^2 flops for X,
    about 9 n^3 for H. Raises UsageError when shapes do not fit, or H is, beyond its rounding, not symmetric or not
    positive semidefinite; InputError (NaN, Inf).
    """
    n = shape[1]
    wanted = (weights.shape[0] if kind == "weight" else n, n)
    if weights.shape != wanted:
        said, needs = "x".join(map(str, weights.shape)), f"{n} columns" if kind == "weight" else f"{n}x{n} entries"
        raise UsageError(f"--{kind} is {said}, the matrix {shape[0]}x{n}", hint=f"it must have {needs}")
    scaled = bring_to_scale(weights)
    return _of_data(scaled) if kind == "weight" else _of_gram(scaled)


def _of_data(scaled: Scaled) -> Root:
    X, (N, n) = scaled.matrix, scaled.matrix.shape
    wide = np.result_type(X.dtype, np.float64)
    X.ledger.passes += 1
    if N <= n:
        return Root(_piece(X, slice(0, N), wide).T.copy(), scaled.exponent, [])
    X.ledger.flops += 2 * N * n * n
    step = max(_ROWS, n)
    R = np.zeros((0, n), wide)
    for first in range(0, N, step):
        below = _piece(X, slice(first, min(first + step, N)), wide)
        R = np.asarray(np.linalg.qr(np.vstack([R, below]), mode="r"))
    return Root(np.ascontiguousarray(R.T), scaled.exponent, ["lapack geqrf"])


def _piece(X: Metered, rows: slice, dtype: numpy.dtype) -> numpy.ndarray:
    return np.ascontiguousarray(X.block(rows, slice(0, X.shape[1])), dtype=dtype)


def _of_gram(scaled: Scaled) -> Root:
    """By eigenvalues; those within the rounding of H, n eps of the largest, count as zero."""
    given = scaled.matrix.whole()
    n, eps = len(given), float(np.finfo(given.dtype).eps)
    H = np.ascontiguousarray(given, dtype=np.result_type(given.dtype, np.float64))
    skew, top = np.abs(H - H.conj().T), float(np.abs(H).max())
    if skew.max() > 10 * n**0.5 * eps * top:
        i, j = map(int, np.unravel_index(np.argmax(skew), skew.shape))
        raise UsageError(
            f"--gram is not symmetric: entries ({i}, {j}) and ({j}, {i}), counted from 0, differ by "
            f"{skew[i, j] / top:.2g} of the largest entry",
            hint="give H = X^T X, or the activations themselves with --weight X",
        )
    values, V = np.linalg.eigh(0.5 * (H + H.conj().T))
    size = float(np.abs(values).max())
    if values[0] < -n * eps * size:
        raise UsageError(
            f"--gram is not positive semidefinite: its smallest eigenvalue is {values[0] / size:.2g} of its largest",
            hint="give H = X^T X, or the activations themselves with --weight X",
        )
    kept = values > n * eps * size
    odd = scaled.exponent % 2
    S = V[:, kept] * np.sqrt(np.ldexp(values[kept], odd)) if kept.any() else np.zeros((n, 1), H.dtype)
    return Root(np.ascontiguousarray(S), (scaled.exponent - odd) // 2, ["lapack heevd"])
