"""The matrix sign, or polar factor: U_r V_r^H of A = U diag(s) V^H, by the SVD or by iterations of products.

Iterations run on the side that is smaller: A stands upright, m >= n, and a tall A = Q R is replaced by R, whose polar
factor P gives Q P. Every product goes through the fixed pieces of ``matrices.blocks``, so no bit depends on threads.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..errors import NumericalError, UsageError
from ..lazy import np
from ..matrices.blocks import cross, times
from ..options import check, flag, opt
from . import polar_coefficients as coefficients
from .bases import tall
from .scaling import Scaled
from .svd_sources import Full

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine
    from .polar_coefficients import Triple

METHODS = ("svd", "qdwh", "polar-express", "newton-schulz", "newton-schulz-cubic", "muon")
#: Up to this smaller side the SVD is the default. Beyond it QDWH: up to twice the flops, but of products and QR, where
#: bidiagonalization spends half of its own on products with single vectors.
SVD_SIDE = 512
#: Iterations on a matrix this much taller than wide are cheaper on its triangular factor.
_TALL = 1.5
MUON_STEPS, MUON_LOWER = 5, 1e-3
_MOST_STEPS = 200


@dataclasses.dataclass(frozen=True)
class PolarOptions:
    """lower: share of the bound of s_1 from which on singular values are driven to 1; default max(m, n) eps."""

    method: str | None = opt(
        None,
        "How: LAPACK; QR and Cholesky steps; or products only, of which muon is a fixed number that does not converge. "
        f"Default svd up to a smaller side of {SVD_SIDE}, then qdwh.",
        choices=METHODS,
        flags=("-m",),
    )
    lower: float | None = opt(
        None,
        "Bring singular values to 1 from this share of the largest on; smaller ones go part of the way (not svd). "
        f"Default max(m, n) eps, the rounding; {MUON_LOWER:g} for muon.",
        min=1e-16,
    )
    steps: int | None = opt(
        None,
        f"Most iterations (not svd). Default as many as --lower takes; {MUON_STEPS} for muon.",
        min=1,
        max=_MOST_STEPS,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.lower is not None and self.lower >= 1:
            raise UsageError(f"--lower must be below 1, not {self.lower:g}", hint="it is a share of the largest value")
        if self.method == "svd":
            self.refuse_iteration()

    def refuse_iteration(self) -> None:
        """Raise UsageError for options of an iteration, where none will run."""
        for name in ("lower", "steps"):
            if getattr(self, name) is not None:
                raise UsageError(f"{flag(name)} belongs to an iteration, not to the SVD", hint="such as --method qdwh")


@dataclasses.dataclass(eq=False)
class Work:
    """Products on an engine, and what they cost: each counted, flops by leading terms."""

    engine: Engine
    products: int = 0
    flops: int = 0

    def times(self, X: numpy.ndarray, Y: numpy.ndarray) -> numpy.ndarray:
        """X Y for X (m, k) and Y (k, n)."""
        self._count(2 * X.shape[0] * X.shape[1] * Y.shape[1])
        return times(X, Y, self.engine)

    def gram(self, X: numpy.ndarray) -> numpy.ndarray:
        """X^H X in the precision of X, Hermitian to the bit."""
        self._count(2 * X.shape[0] * X.shape[1] ** 2)
        G = cross(X, X, self.engine)
        return 0.5 * (G + G.conj().T)

    def step(self, X: numpy.ndarray, G: numpy.ndarray, triple: Triple) -> numpy.ndarray:
        """X (a I + b G + c G^2), G the Gram matrix of X."""
        a, b, c = triple
        P = b * G + c * self.times(G, G) if c else b * G
        P.flat[:: len(P) + 1] += a
        return self.times(X, P)

    def qr(self, X: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Householder QR, thin."""
        m, n = X.shape
        self.flops += 4 * m * n * n - 4 * n**3 // 3
        Q, R = np.linalg.qr(X)
        return np.ascontiguousarray(Q), np.ascontiguousarray(R)

    def _count(self, flops: int) -> None:
        self.products += 1
        self.flops += flops


@dataclasses.dataclass(frozen=True, eq=False)
class Polar:
    """X ~ msign(A) of the shape of A, and how it was found.

    triples: the coefficients of the steps taken, in order. lower: the share of ``bound`` (at least s_1 of the scaled
    matrix) from which on singular values come to within ``deviation`` of 1, rounding aside. values: the singular values
    of the scaled matrix where the method gave them, descending.
    """

    X: numpy.ndarray
    method: str
    kernels: list[str]
    work: Work
    triples: tuple[Triple, ...] = ()
    lower: float = 0.0
    bound: float = 0.0
    deviation: float = 0.0
    values: numpy.ndarray | None = None


def polar(scaled: Scaled, options: PolarOptions) -> Polar:
    """The polar factor of a matrix in its own precision; of a rank-deficient one the partial isometry U_r V_r^H.

    svd: LAPACK, r the number of s above max(m, n) eps s_1; 22 n^3 flops. qdwh: six steps at most of 14/3 n^3 (Cholesky)
    or 26/3 n^3 (QR) flops, then the null space is projected out by the eigenvectors of H = X^H A; backward stable. The
    others are odd polynomials of A alone, 6 n^3 flops a step (cubic 4 n^3): they leave what lies below --lower between
    0 and 1. Cost: one pass, and 6 m n^2 flops more for a tall matrix. Memory: 2 m n + 6 n^2 entries.

    Raises UsageError, NumericalError (LAPACK fails, or its answer fails its check).
    """
    matrix = scaled.matrix
    m, n = matrix.shape
    method = options.method or ("svd" if min(m, n) <= SVD_SIDE else "qdwh")
    work = Work(matrix.engine)
    if scaled.squares == 0:
        return Polar(np.zeros((m, n), matrix.dtype), method, ["none needed"], work)
    if method == "svd":
        options.refuse_iteration()
        made = _by_svd(scaled, work)
    else:
        A = np.ascontiguousarray(tall(matrix).whole())
        made = _by_qdwh(A, options, work) if method == "qdwh" else _by_polynomials(A, method, options, work)
    matrix.ledger.products += work.products
    matrix.ledger.flops += work.flops
    return made if m >= n else dataclasses.replace(made, X=np.ascontiguousarray(made.X.conj().T))


def numeric_rank(values: numpy.ndarray, shape: tuple[int, int], dtype: numpy.dtype) -> int:
    """How many of the descending values exceed max(m, n) eps times the first."""
    return int(np.count_nonzero(values > max(shape) * float(np.finfo(dtype).eps) * values[0]))


def _by_svd(scaled: Scaled, work: Work) -> Polar:
    upright = tall(scaled.matrix)
    full = Full(upright)
    rank = numeric_rank(full.s, upright.shape, upright.dtype)
    U, _, V = full.triplets(rank)
    X = work.times(np.ascontiguousarray(U), np.ascontiguousarray(V.conj().T))
    share = max(upright.shape) * float(np.finfo(upright.dtype).eps)
    return Polar(X, "svd", full.kernels, work, (), share, float(full.s[0]), 0.0, full.s.astype(np.float64))


# Products only


def _by_polynomials(A: numpy.ndarray, method: str, options: PolarOptions, work: Work) -> Polar:
    """X <- X (a I + b X^H X + c (X^H X)^2), from X = A / bound."""
    m, n = A.shape
    eps = float(np.finfo(A.dtype).eps)
    Q = None
    X = A
    if m > _TALL * n:
        Q, X = work.qr(A)
    G = work.gram(X)
    lower = options.lower or (MUON_LOWER if method == "muon" else max(m, n) * eps)
    steps = options.steps or (MUON_STEPS if method == "muon" else _MOST_STEPS)
    # Muon divides by the Frobenius norm: a bound like any other, but a part of its definition
    bound = _frobenius(X) if method == "muon" else _upper_bound(X, G)
    triples = coefficients.until(method, lower, 4 * eps, steps)
    X = X / X.dtype.type(bound)
    G = G / X.dtype.type(bound**2)
    for number, triple in enumerate(triples):
        X = work.step(X, G, triple)
        if number + 1 < len(triples):
            G = work.gram(X)
    deviation = coefficients.deviation(triples, lower)
    X = X if Q is None else work.times(Q, X)
    return Polar(X, method, ["products"], work, tuple(triples), lower, bound, deviation)


def _frobenius(A: numpy.ndarray) -> float:
    wide = np.abs(A).astype(np.float64)
    return math.sqrt(float(np.sum(np.square(wide))))


def _upper_bound(A: numpy.ndarray, G: numpy.ndarray) -> float:
    """At least s_1 of A, G its Gram matrix: the least of |A|_F, (|A|_1 |A|_inf)^(1/2) and |G|_F^(1/2), rounded up."""
    size = np.abs(A).astype(np.float64)
    bounds = [
        _frobenius(A),
        math.sqrt(float(size.sum(axis=0).max()) * float(size.sum(axis=1).max())),
        math.sqrt(_frobenius(G)),
    ]
    return min(bounds) * (1 + 4 * math.sqrt(max(A.shape)) * float(np.finfo(A.dtype).eps))


# QDWH


def _by_qdwh(A: numpy.ndarray, options: PolarOptions, work: Work) -> Polar:
    """QR-based dynamically weighted Halley iteration (Nakatsukasa, Bai and Gygi 2010) on the triangular factor of A.

    We differ: the lower bound of the singular values is 1 / |R^-1|_F, which cannot be too large, and the null space of
    a rank-deficient matrix is taken out at the end.
    """
    m, n = A.shape
    eps = float(np.finfo(A.dtype).eps)
    Q, X = work.qr(A)
    size = np.abs(X).astype(np.float64)
    bound = min(_frobenius(X), math.sqrt(float(size.sum(axis=0).max()) * float(size.sum(axis=1).max())))
    bound *= 1 + 4 * math.sqrt(m) * eps
    lower = options.lower or max(0.9 * _smallest(X, work) / bound, max(m, n) * eps)
    X = X / X.dtype.type(bound)
    triples = coefficients.qdwh(lower, 8 * eps)[: options.steps]
    kernels = []
    for a, b, c in triples:
        if c > coefficients.CHOLESKY_WEIGHT:
            stacked, _ = work.qr(np.vstack([math.sqrt(c) * X, np.eye(n, dtype=X.dtype)]))
            turned = work.times(stacked[:n], np.ascontiguousarray(stacked[n:].conj().T)) * ((a - b / c) / math.sqrt(c))
        else:
            Z = c * work.gram(X)
            Z.flat[:: n + 1] += 1
            work.flops += 8 * n**3 // 3
            turned = np.linalg.solve(Z, X.conj().T).conj().T * (a - b / c)
        X = np.ascontiguousarray((b / c) * X + turned)
        kernels.append("qr" if c > coefficients.CHOLESKY_WEIGHT else "cholesky")
    X = work.times(Q, X)
    X, values = _without_null_space(A, X, work)
    left = lower
    for triple in triples:
        left = coefficients.halley(triple, left)
    return Polar(X, "qdwh", kernels, work, tuple(triples), lower, bound, 1 - left, values)


def _smallest(R: numpy.ndarray, work: Work) -> float:
    """1 / |R^-1|_F, at most the smallest singular value of R; 0 when R is singular."""
    work.flops += 2 * len(R) ** 3
    try:
        with np.errstate(all="ignore"):
            size = _frobenius(np.linalg.inv(R))
    except np.linalg.LinAlgError:
        return 0.0
    return 1 / size if math.isfinite(size) else 0.0


def _without_null_space(A: numpy.ndarray, X: numpy.ndarray, work: Work) -> tuple[numpy.ndarray, numpy.ndarray]:
    """X without the directions in which A is zero to rounding, and the singular values of A.

    X is an isometry, so H = X^H A is Hermitian, and its eigenvalues are the singular values of A. An isometry maps the
    null space of A somewhere; nothing in A says where.
    """
    n = A.shape[1]
    work.flops += 2 * A.shape[0] * n * n + 4 * n**3 // 3
    H = cross(X, A, work.engine)
    H = 0.5 * (H + H.conj().T)
    values = _eigenvalues(H)
    rank = numeric_rank(values, A.shape, A.dtype)
    if rank < n:
        work.flops += 9 * n**3
        V = np.ascontiguousarray(np.linalg.eigh(H)[1][:, n - rank :])
        X = work.times(_straightened(work.times(X, V), work), np.ascontiguousarray(V.conj().T))
    return X, values


def _straightened(Y: numpy.ndarray, work: Work) -> numpy.ndarray:
    """The isometry next to Y, whose singular values lie in (0, 1] and near 1, by Newton-Schulz.

    Values of A below the lower bound come to X on their way to 1; where no gap separates them from those above, the
    directions that are kept have a part of them.
    """
    eps = float(np.finfo(Y.dtype).eps)
    for _ in range(4):
        G = work.gram(Y)
        if _frobenius(G - np.eye(len(G))) <= 8 * math.sqrt(len(G)) * eps:
            break
        Y = work.step(Y, G, coefficients.QUINTIC)
    return Y


def _eigenvalues(H: numpy.ndarray) -> numpy.ndarray:
    try:
        return np.maximum(np.linalg.eigvalsh(H)[::-1].astype(np.float64), 0.0)
    except np.linalg.LinAlgError as failure:
        raise NumericalError("LAPACK found no eigenvalues of a Hermitian matrix") from failure
