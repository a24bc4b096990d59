"""The pseudo-inverse as a factorization, least squares solutions, and how well the Penrose equations hold."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..certificates.residual import relative, residual
from ..errors import NumericalError, UsageError
from ..factors.base import Pair
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.adjoint import adjoint_of
from ..matrices.blocks import cross, subtract_product, weighted
from ..matrices.facts import ldexp
from ..matrices.metered import Metered
from ..matrices.tiles import scale_exactly
from ..options import check, opt
from .least_squares import Decomposed
from .scaling import Scaled, bring_to_scale
from .svd_sources import signed

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine


@dataclasses.dataclass(frozen=True)
class PseudoinverseOptions:
    """What counts as rank, and what is added to the squares."""

    rank: int | None = opt(
        None, "Truncate: the pseudo-inverse of the best approximation of this rank.", min=1, panel="Rank", flags=("-k",)
    )
    rcond: float | None = opt(
        None,
        "Singular values up to this share of the largest count as zero. Default max(m, n) eps.",
        above=0.0,
        max=0.5,
        panel="Rank",
    )
    ridge: float = opt(
        0.0, "Tikhonov: minimize |A X - B|^2 + RIDGE |X|^2, s / (s^2 + RIDGE) for 1 / s.", min=0.0, panel="Rank"
    )

    def __post_init__(self) -> None:
        check(self)


def pseudoinverse(A: Decomposed, ridge: float = 0.0) -> SVD:
    """A^+ = V diag(1 / s) U^H for the values that count, descending; with a ridge s / (s^2 + ridge) for 1 / s.

    Of a zero matrix: one triplet with value 0. Raises NumericalError when a value leaves the range of normal numbers.
    """
    values, exponent = A.values(ridge)
    order = np.argsort(-values, kind="stable")
    with np.errstate(over="ignore", under="ignore"):
        made = np.ldexp(values[order], -exponent)
    if not np.all(np.isfinite(made)):
        raise NumericalError(f"the pseudo-inverse overflows {made.dtype}", hint="scale the matrix up")
    if np.any(made[values[order] > 0] < np.finfo(made.dtype).tiny):
        raise NumericalError(f"the pseudo-inverse is below the range of {made.dtype}", hint="scale the matrix down")
    engine = A.scaled.matrix.engine
    return signed(np.ascontiguousarray(A.V[:, order]), made, np.ascontiguousarray(A.U[:, order]), engine)


@dataclasses.dataclass(frozen=True)
class Penrose:
    """How far X is from a pseudo-inverse of A, relative Frobenius norms: |A X A - A| / |A|, |X A X - X| / |X|,
    |A X - (A X)^H| / |A X| and |X A - (X A)^H| / |X A|."""

    AXA: float
    XAX: float
    AX: float
    XA: float


def penrose(scaled: Scaled, X: SVD) -> Penrose:
    """The four Penrose equations held against the matrix; X = U diag(s) V^H, U and V orthonormal to rounding.

    With G = A U diag(s) and H = A^H V diag(s): A X = G V^H, X A = U H^H, and what of G is beside V, or of V^H G not
    Hermitian, is what A X lacks of being Hermitian; nothing is found as a difference of large numbers. Cost: three
    passes, 6 m n r flops; exact but for rounding.
    """
    matrix, engine = scaled.matrix, scaled.matrix.engine
    U, V = np.ascontiguousarray(X.U), np.ascontiguousarray(X.Vh.conj().T)
    # values relative to the largest: the scale of X may be as far from 1 as that of A, and is put back where both meet
    top = math.frexp(float(X.s[0]))[1]
    s, back = np.ldexp(X.s, -top), ldexp(1.0, top + scaled.exponent)
    AU, AV = matrix.matmat(U), matrix.rmatmat(V)
    with np.errstate(over="ignore", invalid="ignore"):
        G, H = (weighted(Y, s, engine) * s.dtype.type(back) for Y in (AU, AV))
    if not (np.all(np.isfinite(G)) and np.all(np.isfinite(H))):
        raise NumericalError("A times X overflows", hint="X is no pseudo-inverse of this matrix")
    inner = cross(V, G, engine)
    AXA = relative(residual(matrix, Pair(G, adjoint_of(AV))), scaled.work_facts)
    XAX = _ratio(_norm(s[:, None] * inner - np.diag(s)), _norm(s))
    return Penrose(AXA, XAX, _skew(V, G, inner, engine), _skew(U, H, cross(U, H, engine), engine))


def _skew(N: numpy.ndarray, L: numpy.ndarray, C: numpy.ndarray, engine: Engine) -> float:
    """|M - M^H| / |M| for M = L N^H, N orthonormal, C = N^H L: M = N C N^H + E N^H with E orthogonal to N."""
    E = L.copy()
    subtract_product(E, N, C, engine)
    return _ratio(math.hypot(_norm(C - C.conj().T), math.sqrt(2) * _norm(E)), _norm(L))


def _norm(Y: numpy.ndarray) -> float:
    return float(np.sqrt(np.sum(np.square(np.abs(Y).astype(np.float64)))))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """X (n, p), its Frobenius norm, |A X - B| absolute and over |B|, and |A^H (B - A X) - ridge X| over |A| |B|, which
    is 0 at the minimum."""

    X: numpy.ndarray
    norm: float
    residual: float
    residual_relative: float
    gradient_relative: float


def solve(A: Decomposed, B: Metered, ridge: float = 0.0) -> Solution:
    """The X that minimizes |A X - B|_F^2 + ridge |X|_F^2; of several, the one of minimum norm. A^+ is never formed.

    By QR where A has full column rank, else by its singular values; never by the normal equations. Residual and
    gradient are measured with A and B. Cost: five passes, three of them over B, 6 m n p flops. Raises UsageError
    (shapes do not fit), InputError (NaN, Inf), NumericalError (overflow).
    """
    matrix = A.scaled.matrix
    if B.shape[0] != matrix.shape[0]:
        raise UsageError(
            f"the shapes do not fit: A is {matrix.shape[0]}x{matrix.shape[1]}, B {B.shape[0]}x{B.shape[1]}",
            hint="B must have as many rows as A",
        )
    by, scaled = A.inverse(ridge), bring_to_scale(B)
    C = adjoint_of(scaled.matrix.rmatmat(by.basis))
    Y = by.lift(by.damping[:, None] * C)
    # minimizes |A 2^-a Y 2^(a-e) - B 2^-b|, a, b the exponents of the scaled matrices and e that of the inverse
    inside = scale_exactly(Y, A.scaled.exponent - by.exponent)
    with np.errstate(over="ignore"):
        X = scale_exactly(Y, scaled.exponent - by.exponent)
    if not np.all(np.isfinite(X)):
        raise NumericalError(f"the solution overflows {X.dtype}", hint="scale A up or B down")
    R = scaled.matrix.whole() - matrix.matmat(inside)
    gradient = matrix.rmatmat(R) - inside * ldexp(ridge, -2 * A.scaled.exponent)
    left, whole = _norm(R), math.sqrt(scaled.squares)
    return Solution(
        X,
        ldexp(_norm(Y), scaled.exponent - by.exponent),
        ldexp(left, scaled.exponent),
        _ratio(left, whole),
        _ratio(_norm(gradient), math.sqrt(A.scaled.squares) * whole),
    )
