"""Where a Nystrom approximation from a sketch comes from: all eigenvalues, or a Krylov basis and one product more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import NumericalError
from ..factors.nystrom import Nystrom
from ..lazy import np
from ..matrices.blocks import cast, cross, times
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from .bases import Grown
from .scaling import Scaled
from .symmetric import not_semidefinite

if TYPE_CHECKING:
    import numpy

#: Columns computed beyond those asked for: the last ones lose by being last.
_SPARE = 8
#: Eigenvalues down to this many times n eps |A|_2 below zero are rounding.
_NEGATIVE = 8.0


class Whole:
    """F from LAPACK's eigenvalues of all of A: the best there is."""

    complete, beyond = True, 0.0

    def __init__(self, scaled: Scaled):
        A = scaled.matrix.whole()
        self.kernels, self.facts = ["lapack heevd"], dict[str, Any]()
        try:
            values, vectors = np.linalg.eigh(0.5 * (A + A.conj().T))
        except np.linalg.LinAlgError:
            raise NumericalError("LAPACK found no eigenvalues") from None
        self.values, self.vectors = values[::-1].astype(np.float64), vectors[:, ::-1]
        _refuse_negative(float(self.values[-1]), float(self.values[0]), scaled)
        self.values = np.maximum(self.values, 0.0)

    def gains(self) -> numpy.ndarray:
        return np.square(self.values)

    def factor(self, k: int) -> Nystrom:
        roots = np.sqrt(self.values[:k]).astype(self.vectors.real.dtype)
        return Nystrom(np.ascontiguousarray(self.vectors[:, :k] * roots))


class Projected:
    """F from the leading directions of a Krylov basis and one product more."""

    def __init__(self, scaled: Scaled, grown: Grown):
        self.scaled, self.matrix, self.grown = scaled, scaled.matrix, grown
        single = grown.basis.W.dtype != scaled.matrix.dtype
        self.complete, self.beyond = False, grown.beyond
        self.kernels = [grown.kernel]
        low = "single" if single else np.dtype(scaled.matrix.dtype).name
        self.facts: dict[str, Any] = {"basis": grown.basis.size, "basis_precision": low}
        self._known: tuple[int, Any] = (0, None)

    def gains(self) -> numpy.ndarray:
        return self.grown.squares()

    def factor(self, k: int) -> Nystrom:
        if self._known[0] < k:
            l = min(self.grown.basis.size, -(-(k + _SPARE) // 16) * 16)
            self._known = l, self._computed(l)
        return Nystrom(np.ascontiguousarray(self._known[1][:, :k]))

    def _computed(self, l: int) -> numpy.ndarray:
        engine = self.matrix.engine
        U, T = self.grown.basis.left(l)
        Q = np.asarray(times(cast(U, self.matrix.dtype, engine), T, engine))
        return nystrom(Q, self.matrix, self.scaled)


def nystrom(Q: numpy.ndarray, matrix: Metered, scaled: Scaled) -> numpy.ndarray:
    """F (n, l), its columns orthogonal and the longest first, with F F^H = A Q (Q^H A Q)^-1 Q^H A; Q orthonormal.

    With Z = A Q + nu Q and Q^H Z = C^H C it is B B^H - nu Q Q^H for B = Z C^-1, and nu is taken off the eigenvalues.
    One product.
    """
    engine = matrix.engine
    Z = matrix.matmat(Q)
    H = cross(Q, Z, engine, wide=True)
    H = 0.5 * (H + H.conj().T)
    values = np.linalg.eigvalsh(H)
    _refuse_negative(float(values[0]), float(values[-1]), scaled)
    eps = float(np.finfo(matrix.dtype).eps)
    shift = eps * math.sqrt(Q.shape[1]) * max(float(values[-1]), float(np.finfo(matrix.dtype).tiny))
    shift = max(shift, -2.0 * float(values[0]))
    Z += Z.real.dtype.type(shift) * Q
    C = None
    while C is None:
        try:
            C = np.linalg.cholesky(H + shift * np.eye(len(H))).conj().T
        except np.linalg.LinAlgError:
            Z += Z.real.dtype.type(3 * shift) * Q
            shift *= 4
    B, R = orthonormalize(times(Z, np.linalg.inv(C), engine), engine)
    P, s, _ = np.linalg.svd(R)
    roots = np.sqrt(np.maximum(np.square(s.astype(np.float64)) - shift, 0.0))
    return np.asarray(times(B, P * roots.astype(s.dtype), engine))


def _refuse_negative(least: float, most: float, scaled: Scaled) -> None:
    """Refuse a matrix that has an eigenvalue at most ``least`` where that is more than rounding."""
    n = scaled.matrix.shape[0]
    size = max(abs(most), abs(least))
    if least < -_NEGATIVE * n * float(np.finfo(scaled.matrix.dtype).eps) * size:
        raise not_semidefinite(f"it has an eigenvalue of {least / size:.3g} of the largest modulus found or below")
