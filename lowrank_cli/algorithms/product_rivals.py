"""What column-row sampling of a product is held against: sketches of its inner dimension, and the best of all."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..certificates.residual import exact, residual_and_norm
from ..errors import UsageError
from ..factors.base import Factorization, Pair
from ..lazy import np
from ..matrices.blocks import times
from ..matrices.facts import ldexp
from ..matrices.metered import Ledger, Metered
from ..matrices.orthonormal import orthonormalize
from ..matrices.product import Product
from ..matrices.sparse import SparseMatrix
from ..sketches.gaussian import gaussian
from ..sketches.sparse import sparse_signs
from ..streams import Streams
from .cr import meets, wanted_square
from .outcome import Outcome, Status
from .scaling import bring_to_scale, check_rank
from .svd_sources import signed
from .tolerance import rank_for

if TYPE_CHECKING:
    import numpy

#: Sketches measured before we settle for the widest.
_TRIALS = 4
#: The core of the best product is decomposed up to this many entries times its smaller side.
_CORE = 1 << 32


class Rivals:
    """The two factors of a product, brought to scale, and its norm: what every rival starts from.

    product: X Y; its ledger is new. norm: |X Y|_F as measured. shared: facts of the factors that others have found.
    """

    def __init__(self, product: Product, norm: float, shared: dict[Any, Any]):
        self.ledger = Ledger()
        self.X = bring_to_scale(Metered(product.X, self.ledger, shared.setdefault("left", {})))
        right = Metered(product.Y, self.ledger, shared.setdefault("right", {}))
        self.Y = bring_to_scale(right, transposed=True)
        self.exponent = self.X.exponent + self.Y.exponent
        self.norm = ldexp(norm, -self.exponent)
        self.work = Product(self.X.matrix.inner, self.Y.matrix.inner, product.engine)
        self.inner = product.X.shape[1]

    def target(self, budget: Budget) -> float | None:
        """The error to reach, on the scale of the scaled factors."""
        return math.sqrt(wanted_square(budget, self.norm**2, self.exponent)) if budget.has_tolerance else None

    def judged(self, factor: Factorization) -> Certificate:
        error, norm = residual_and_norm(Metered(self.work, self.ledger), factor)
        found = exact(error, norm)
        absolute, size = (ldexp(part.norm, self.exponent) for part in (error, norm))
        return dataclasses.replace(found, absolute=absolute, matrix_norm=size)

    def lengths(self) -> tuple[float, float]:
        """|X|^2 |Y|^2 and sum_i |x_i|^2 |y_i|^2."""
        x, y = (np.ldexp(one.facts.column_squares, 2 * (one.facts.exponent - one.exponent)) for one in (self.X, self.Y))
        return float(x.sum()) * float(y.sum()), float(x @ y)


def gaussian_sketch(rivals: Rivals, budget: Budget, streams: Streams) -> Outcome:
    """(X S)(S^H Y), S l x r Gaussian with E S S^H = I: expected squared error (|X|^2 |Y|^2 + |X Y|^2) / r for real
    factors, |X|^2 |Y|^2 / r for complex ones. Cost: 2 l r (m + n) flops."""
    X, Y, dtype = rivals.X.matrix, rivals.Y.matrix, np.dtype(rivals.work.dtype)
    both, _ = rivals.lengths()
    moment = both + (0.0 if dtype.kind == "c" else rivals.norm**2)

    def draw(r: int) -> tuple[Pair, float]:
        S = gaussian(streams, "compare gaussian", rivals.inner, r, dtype, X.engine)
        S *= dtype.type(1.0 / math.sqrt(r))
        return Pair(X.matmat(S), np.ascontiguousarray(Y.rmatmat(S).conj().T)), moment / r

    return _sketched(rivals, budget, draw, moment)


def sparse_sketch(rivals: Rivals, budget: Budget, streams: Streams) -> Outcome:
    """(X S)(S^H Y), S l x r of sparse signs: see ``sketches.sparse``. Cost: 16 l (m + n) flops."""
    dtype = np.dtype(rivals.work.dtype)
    both, own = rivals.lengths()
    # no less than zero: for a single pair the three cancel
    moment = max(0.0, both - own if dtype.kind == "c" else both + rivals.norm**2 - 2.0 * own)

    def draw(r: int) -> tuple[Pair, float]:
        S, spread = sparse_signs(streams, "compare sparse", rivals.inner, r, dtype)
        L = _from_left(rivals.X.matrix, S)
        return Pair(L, _from_right(S, rivals.Y.matrix)), moment * spread

    return _sketched(rivals, budget, draw, moment)


def _from_left(X: Metered, S: Any) -> numpy.ndarray:
    """X S."""
    if X.nnz is not None:
        return X.matmat(S.toarray())
    adjoint = np.ascontiguousarray(X.whole().conj().T)
    return np.ascontiguousarray(SparseMatrix(S, X.engine).rmatmat(adjoint).conj().T)


def _from_right(S: Any, Y: Metered) -> numpy.ndarray:
    """S^H Y."""
    if Y.nnz is not None:
        return np.ascontiguousarray(Y.rmatmat(S.toarray()).conj().T)
    return SparseMatrix(S, Y.engine).rmatmat(np.ascontiguousarray(Y.whole()))


def _sketched(rivals: Rivals, budget: Budget, draw: Any, moment: float) -> Outcome:
    """The sketch of the rank asked for; for a tolerance of as many columns as its expected error takes, and where it
    was missed of more, up to 4 times."""
    check_rank(budget.rank, rivals.inner, f"an inner dimension of {rivals.inner}")
    target, cap = rivals.target(budget), budget.rank or rivals.inner
    r = cap
    if target is not None:
        r = max(1, math.ceil(min(moment / target**2, cap))) if target > 0 else cap
    for _ in range(_TRIALS):
        factor, square = draw(r)
        found = rivals.judged(factor)
        missed = target is not None and not meets(budget, found)
        if not missed or r >= cap:
            break
        assert target is not None
        error = ldexp(found.absolute or 0.0, -rivals.exponent)
        r = min(cap, math.ceil(1.1 * r * (error / target) ** 2))
    predicted = math.sqrt(square) / rivals.norm if rivals.norm else 0.0
    facts = {"kernels": ["blas"], "predicted_relative": predicted, "predicted_kind": "exact", "warnings": []}
    return Outcome(factor, Status.RANK_REACHED if missed else Status.CONVERGED, found, rivals.ledger, facts)


def best_product(rivals: Rivals, budget: Budget) -> tuple[Outcome, numpy.ndarray]:
    """The best product of rank r, and all singular values of X Y over its norm: from QR factors of X and Y^H where
    these are tall, and the SVD of the small matrix between them.

    X = Q1 R1, Y^H = Q2 R2, R1 R2^H = U diag(s) V^H: X Y = Q1 U diag(s) (Q2 V)^H. Cost: 4 (m + n) l^2 flops and the SVD.
    Raises UsageError where that is too large.
    """
    X, Y = rivals.X.matrix, rivals.Y.matrix
    (m, l), n = X.shape, Y.shape[1]
    a, b = min(m, l), min(n, l)
    if a * b * min(a, b) > _CORE:
        raise UsageError(f"the best product takes the SVD of a {a}x{b} matrix, which is too dear")
    Q1, R1 = _tall(X.whole(), X.engine)
    Q2, R2 = _tall(np.ascontiguousarray(Y.whole().conj().T), Y.engine)
    U, s, Vh = np.linalg.svd(R1 @ np.ascontiguousarray(R2.conj().T), full_matrices=False)
    target = rivals.target(budget)
    squares = np.square(s.astype(np.float64))
    r = min(budget.rank or len(s), len(s))
    if target is not None:
        r = max(1, min(r, rank_for(target**2, 0.0, squares)))
    U, V = np.ascontiguousarray(U[:, :r]), np.ascontiguousarray(Vh[:r].conj().T)
    U, V = (small if Q is None else times(Q, small, X.engine) for Q, small in ((Q1, U), (Q2, V)))
    factor = signed(U, s[:r], V, X.engine)
    found = rivals.judged(factor)
    size = math.sqrt(float(squares.sum()))
    predicted = math.sqrt(float(squares[r:].sum())) / size if size else 0.0
    facts = {"kernels": ["lapack gesdd"], "predicted_relative": predicted, "predicted_kind": "exact", "warnings": []}
    status = Status.CONVERGED if target is None or meets(budget, found) else Status.RANK_REACHED
    return Outcome(factor, status, found, rivals.ledger, facts), s / size if size else s.astype(np.float64)


def _tall(A: numpy.ndarray, engine: Any) -> tuple[numpy.ndarray | None, numpy.ndarray]:
    """(Q, R) of a matrix taller than wide; else no Q, and the matrix itself."""
    return orthonormalize(A, engine) if A.shape[0] > A.shape[1] else (None, np.ascontiguousarray(A))
