"""Where singular triplets come from: the whole decomposition, or a Krylov basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..engines.blas import single_threaded
from ..errors import NumericalError
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from .krylov import BlockKrylov

if TYPE_CHECKING:
    import numpy


class Source(Protocol):
    """Triplets by rank. beyond estimates the squared error that no rank within reach can remove; squared singular
    values below noise mean nothing. complete: there is no more than this; spent: the allowance of
    blocks ended its growth."""

    beyond: float
    noise: float
    complete: bool
    spent: bool
    kernels: list[str]
    facts: dict[str, Any]

    def triplets(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """(U, s, V): U (m, k), s (k,), V (n, k)."""
        ...

    def squares(self) -> numpy.ndarray:
        """Squared singular or Ritz values, all there are, non-increasing, float64."""
        ...


class Full:
    """The whole SVD by LAPACK's gesdd, and by gesvd when that fails."""

    def __init__(self, matrix: Metered | Adjoint):
        A = matrix.whole()
        self.kernels = ["lapack gesdd"]
        try:
            U, s, Vh = np.linalg.svd(A, full_matrices=False)
        except np.linalg.LinAlgError:
            U = None
        if U is None or not _holds(A, U, s, Vh):
            U, s, Vh = _gesvd(A)
            self.kernels = ["lapack gesvd"]
            if not _holds(A, U, s, Vh):
                raise NumericalError(
                    "LAPACK returned singular vectors that fail their own check",
                    hint="another BLAS library, or another number of its kernels (OPENBLAS_CORETYPE), may do better",
                )
        self.U, self.s, self.V = U, s, Vh.conj().T
        self.beyond = self.noise = 0.0
        self.complete, self.spent = True, False
        self.facts: dict[str, Any] = {}

    def triplets(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        return self.U[:, :k], self.s[:k], self.V[:, :k]

    def squares(self) -> numpy.ndarray:
        return np.square(self.s.astype(np.float64))


def _holds(A: numpy.ndarray, U: numpy.ndarray, s: numpy.ndarray, Vh: numpy.ndarray) -> bool:
    """Whether A x = U (s (Vh x)) for two fixed vectors, to 1000 n eps |A|; libraries have returned garbage in silence.

    Values must be finite, non-negative and non-increasing too. Cost: 4 products with a vector.
    """
    if not np.all(np.isfinite(s)) or np.any(s < 0) or np.any(s[1:] > s[:-1]):
        return False
    n = A.shape[1]
    angles = np.arange(1.0, n + 1) ** 2
    X = np.stack([np.cos(angles), np.sin(1.7 * angles)], axis=1).astype(A.dtype)
    left = A @ X - U @ (s[:, None] * (Vh @ X))
    limit = 1e3 * max(A.shape) * float(np.finfo(A.dtype).eps) * float(s[0]) * float(np.linalg.norm(X))
    return bool(np.linalg.norm(left) <= limit)


def _gesvd(A: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    import scipy.linalg

    try:
        with single_threaded():
            return scipy.linalg.svd(A, full_matrices=False, lapack_driver="gesvd", check_finite=False)
    except scipy.linalg.LinAlgError as failure:
        raise NumericalError("neither gesdd nor gesvd of LAPACK found the singular values") from failure


class Projected:
    """Ritz triplets of a Krylov basis; beyond estimates the squared error that no rank within it can remove."""

    def __init__(self, basis: BlockKrylov, beyond: float, spent: bool = False):
        self.basis = basis
        self.spent = spent
        self.beyond = beyond
        self.kernels = ["block krylov"]
        self.complete = basis.exhausted
        self.facts = {"basis": basis.size}
        self._squares = basis.ritz_squares()
        self.noise = float(self._squares[0]) * basis.size * float(np.finfo(np.float64).eps)
        self._known: tuple[int, Any] = (0, None)

    def triplets(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        if self._known[0] < k:
            self._known = (k, self.basis.triplets(k))
        U, s, V = self._known[1]
        return U[:, :k], s[:k], V[:, :k]

    def squares(self) -> numpy.ndarray:
        return self._squares


def signed(U: numpy.ndarray, s: numpy.ndarray, V: numpy.ndarray) -> SVD:
    """The SVD with signs by rule: in each column of U the first entry of largest modulus is real and positive."""
    lead = U[np.argmax(np.abs(U), axis=0), np.arange(U.shape[1])]
    size = np.abs(lead)
    phase = np.where(size > 0, lead / np.where(size > 0, size, 1), 1).astype(U.dtype)
    return SVD(
        np.ascontiguousarray(U * phase.conj()),
        np.ascontiguousarray(s),
        np.ascontiguousarray((V * phase.conj()).conj().T),
    )
