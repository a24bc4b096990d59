"""Where singular triplets come from: the whole decomposition, or a Krylov basis and one more product."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from ..engines.blas import single_threaded
from ..errors import NumericalError
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.blocks import adjoint_of, cast, columns_of, peaks, times, weighted
from ..matrices.metered import Metered
from ..matrices.orthonormal import nearly_orthonormal
from .bases import Grown

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: Triplets computed beyond those asked for: what the last ones lose by being last, and room to see their neighbours.
_SPARE = 8


class Source(Protocol):
    """Triplets by rank. beyond estimates the squared error that no rank within reach can remove. complete: there is no
    more than this; spent: the allowance of blocks ended its growth."""

    beyond: float
    complete: bool
    spent: bool
    kernels: list[str]
    facts: dict[str, Any]

    def triplets(self, k: int, keep: bool = False) -> tuple[Any, numpy.ndarray, Any]:
        """(U, s, V): U (m, k), s (k,), V (n, k). keep: U may be a ``Tall``."""
        ...

    def squares(self) -> numpy.ndarray:
        """Squared singular or Ritz values, all there are, non-increasing, float64."""
        ...

    def least(self) -> numpy.ndarray:
        """What the squared singular values are at least, rounding allowed for."""
        ...


class Full:
    """The whole SVD by LAPACK's gesdd, and by gesvd when that fails.

    Cost, charged to the matrix: 14 m n^2 + 8 n^3 flops, n the smaller side (Golub and Van Loan, Matrix Computations,
    4th ed., section 8.6).
    """

    def __init__(self, matrix: Metered | Adjoint):
        A = matrix.whole()
        m, n = max(A.shape), min(A.shape)
        matrix.ledger.flops += 14 * m * n**2 + 8 * n**3
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
        self.beyond = 0.0
        self.complete, self.spent = True, False
        self.facts: dict[str, Any] = {}

    def triplets(self, k: int, keep: bool = False) -> tuple[Any, numpy.ndarray, Any]:
        return self.U[:, :k], self.s[:k], self.V[:, :k]

    def squares(self) -> numpy.ndarray:
        return np.square(self.s.astype(np.float64))

    def least(self) -> numpy.ndarray:
        return self.squares()


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


class Refined:
    """Triplets of U^H A for U the leading left directions of a Krylov basis: A^H U = V diag(s), one product.

    The basis may be in single precision: U is orthonormal in double all the same, and s are Ritz values of A itself.
    The product is half a Krylov step more. norm: |A|_F, for the rounding of the basis. detail: squared errors as small
    as this matter; where the Gram matrix of the basis cannot tell them, all of the basis goes into the last product.
    """

    def __init__(self, matrix: Metered | Adjoint, grown: Grown, norm: float, detail: float = math.inf):
        self.matrix, self.grown, self.norm, self.detail = matrix, grown, norm, detail
        self.spent, self.beyond = grown.spent, grown.beyond
        single = grown.basis.W.dtype != matrix.dtype
        self.complete = grown.basis.exhausted and not single
        low = "single" if single else np.dtype(matrix.dtype).name
        self.kernels = [grown.kernel]
        self.facts: dict[str, Any] = {"basis": grown.basis.size, "basis_precision": low}
        self._known: tuple[int, Any] = (0, None)

    def triplets(self, k: int, keep: bool = False) -> tuple[Any, numpy.ndarray, Any]:
        U, s, V = self.resolved(k)
        U, V = (columns_of(block, 0, k, self.matrix.engine) for block in (U, V))
        return (U, s[:k], V) if keep else (np.asarray(U), s[:k], np.asarray(V))

    def resolved(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """The triplets as they were computed, somewhat more than k of them."""
        if self._known[0] < k:
            l = min(self.grown.basis.size, -(-(k + _SPARE) // 16) * 16)
            self._known = (l, self._refine(l))
        return self._known[1]

    def _refine(self, l: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        engine = self.matrix.engine
        U, T = self.grown.basis.left(l)
        U = cast(U, self.matrix.dtype, engine)
        Z = self.matrix.rmatmat(U)
        # Z T = Q C R T: whatever is small and square waits for the one change of basis
        Q, C, R = nearly_orthonormal(Z, engine)
        P, s, Th = np.linalg.svd(R @ T)
        s = s.astype(np.finfo(Z.dtype).dtype, copy=False)
        return times(U, T @ Th.conj().T, engine, out=U), s, times(Q, P if C is None else C @ P, engine, out=Q)

    def squares(self) -> numpy.ndarray:
        squares = self.grown.squares()
        if self.detail > 16 * self.grown.blur():
            return squares
        return np.square(self.resolved(self.grown.basis.size)[1].astype(np.float64))

    def least(self) -> numpy.ndarray:
        """Ritz values never exceed singular values; those of the basis carry the rounding of its products."""
        squares = self.grown.squares()
        eps = float(np.finfo(self.grown.basis.W.dtype).eps)
        values = np.sqrt(np.maximum(squares - self.grown.blur(), 0.0)) - 4 * eps * self.norm
        return np.square(np.maximum(values, 0.0))


def signed(U: numpy.ndarray, s: numpy.ndarray, V: numpy.ndarray, engine: Engine) -> SVD:
    """The SVD with signs by rule: in each column of U the first entry of largest modulus is real and positive."""
    lead = peaks(U, engine)
    size = np.abs(lead)
    phase = np.where(size > 0, lead / np.where(size > 0, size, 1), 1).astype(U.dtype)
    right = adjoint_of(V, phase.conj(), engine)
    return SVD(weighted(U, phase.conj(), engine), np.ascontiguousarray(s), right)
