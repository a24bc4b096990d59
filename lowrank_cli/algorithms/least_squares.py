"""Minimum norm least squares: which singular values of A count, and how coordinates in its range become solutions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import memory
from ..budget import Budget
from ..errors import ResourceError
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.blocks import times
from ..matrices.dense import TiledMatrix
from ..matrices.facts import ldexp
from ..matrices.metered import Metered
from ..streams import Streams
from . import svd
from .bases import LAPACK_ENTRIES, tall
from .scaling import Scaled, bring_to_scale, check_rank
from .svd_sources import Full

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True)
class Cut:
    """The rule of the rank and what decides it: singular values above threshold = rcond s_1 count, at most ``most``.

    above and below are s_r and s_(r+1) on either side of the cut; below is None where no further value is known.
    """

    rank: int
    rcond: float
    threshold: float
    largest: float
    above: float | None
    below: float | None

    @property
    def ratio(self) -> float | None:
        """s_r / s_(r+1): how clear the cut is."""
        return self.above / self.below if self.above and self.below else None

    @property
    def condition(self) -> float | None:
        """s_1 / s_r; None for a zero matrix."""
        return self.largest / self.above if self.above else None


@dataclasses.dataclass(frozen=True, eq=False)
class Inverse:
    """X = lift(damping * basis^H B) 2**-exponent minimizes |A X - B|_F^2 + ridge |X|_F^2, and of all such X |X|_F.

    basis (m, r) is an orthonormal basis of the range of A, damping (r,) is 1 without a ridge. Coordinates may be
    approximated between damping and lift: what the objective grows by is the squared error made there.
    """

    basis: numpy.ndarray
    damping: numpy.ndarray
    lift: Callable[[numpy.ndarray], numpy.ndarray]
    exponent: int


@dataclasses.dataclass(frozen=True, eq=False)
class Decomposed:
    """A = U diag(s) V^H 2**exponent for the singular values that count, U (m, r), V (n, r), r >= 1.

    A zero matrix has one value, 0. triangle: (Q, R) with A = Q R 2**exponent where A has full column rank, row_triangle
    the same of A^H where A has full row rank; of a square matrix there is the first.
    """

    scaled: Scaled
    U: numpy.ndarray
    s: numpy.ndarray
    V: numpy.ndarray
    cut: Cut
    kernels: list[str]
    triangle: tuple[numpy.ndarray, numpy.ndarray] | None = None
    row_triangle: tuple[numpy.ndarray, numpy.ndarray] | None = None

    def adjoint(self) -> Decomposed:
        """That of A^H."""
        return dataclasses.replace(self, U=self.V, V=self.U, triangle=self.row_triangle, row_triangle=self.triangle)

    def inverse(self, ridge: float = 0.0) -> Inverse:
        """How to solve with A, by its QR where that does, else by its singular values.

        QR loses nothing to columns of different scale, and squares no condition number.
        """
        if self.triangle is not None and not ridge:
            Q, R = self.triangle
            one = np.ones(Q.shape[1], R.real.dtype)
            return Inverse(Q, one, lambda C: np.linalg.solve(R.astype(np.result_type(R, C)), C), self.scaled.exponent)
        gain, damping, exponent = self._gains(ridge)

        def lift(C: numpy.ndarray) -> numpy.ndarray:
            V = self.V.astype(np.result_type(self.V, C), copy=False)
            return times(V, gain[:, None] * C, self.scaled.matrix.engine)

        return Inverse(self.U, damping, lift, exponent)

    def values(self, ridge: float = 0.0) -> tuple[numpy.ndarray, int]:
        """(f, exponent): f_i 2**-exponent = s_i / (s_i^2 + ridge), the singular values of the inverse in the order of
        those of A."""
        gain, damping, exponent = self._gains(ridge)
        return gain * damping, exponent

    def _gains(self, ridge: float) -> tuple[numpy.ndarray, numpy.ndarray, int]:
        """1 / sqrt(s^2 + ridge) on a scale where it is near 1 or above, and s / sqrt(s^2 + ridge)."""
        values = self.s.astype(np.float64)
        largest = math.frexp(float(values[0]))[1] + self.scaled.exponent
        exponent = max(largest, -(-math.frexp(ridge)[1] // 2)) if ridge else largest
        values = np.ldexp(values, self.scaled.exponent - exponent)
        size = np.hypot(values, math.sqrt(ldexp(ridge, -2 * exponent)))
        safe = np.where(size > 0, size, 1.0)
        gain, damping = np.where(size > 0, 1.0 / safe, 0.0), np.where(size > 0, values / safe, 0.0)
        dtype = self.s.dtype
        return gain.astype(dtype), damping.astype(dtype), exponent


def decompose(
    matrix: Metered, rcond: float | None, most: int | None, streams: Streams, what: str, hint: str
) -> Decomposed:
    """A = U diag(s) V^H, the singular values above rcond s_1 (default max(m, n) eps), at most ``most`` of them.

    By LAPACK, from the QR of A or A^H, whichever is tall; a large matrix of which few values are wanted by ``svd``.
    Cost: a pass to look, a pass to read it whole, 4 m n min(m, n) flops and more for the small factor. what: how the
    matrix is called in messages; hint: what to do about one too large. Raises UsageError (rank too large), InputError
    (NaN, Inf), NumericalError, ResourceError (a sparse matrix too large to be written out).
    """
    m, n = matrix.shape
    check_rank(most, min(m, n), f"a {m}x{n} matrix")
    rcond = max(m, n) * float(np.finfo(matrix.dtype).eps) if rcond is None else rcond
    if most is not None and not svd.wants_lapack(matrix, most, svd.SVDOptions()):
        scaled = bring_to_scale(matrix)
        # a ledger in common and nothing else: what is shared speaks of the matrix before it was scaled
        work = Metered(scaled.matrix.inner, matrix.ledger)
        found = svd.run(work, Budget(rank=most, certify="none"), svd.SVDOptions(), streams)
        U, s, Vh = found.factor.arrays().values()
        return _cut(scaled, U, s, np.ascontiguousarray(Vh.conj().T), rcond, most, found.facts["kernels"])
    require_dense(matrix, what, hint)
    scaled = bring_to_scale(matrix)
    upright = tall(scaled.matrix)
    Q, R = np.linalg.qr(upright.whole())
    Q, R = np.ascontiguousarray(Q), np.ascontiguousarray(R)
    matrix.ledger.flops += 4 * m * n * min(m, n)
    triangle = Metered(TiledMatrix(R))
    small = Full(triangle)
    matrix.ledger.flops += triangle.ledger.flops
    left, right = times(Q, small.U, matrix.engine), np.ascontiguousarray(small.V)
    U, V = (right, left) if isinstance(upright, Adjoint) else (left, right)
    made = _cut(scaled, U, small.s, V, rcond, most or min(m, n), ["lapack geqrf", *small.kernels])
    if made.cut.rank < min(m, n):
        return made
    if m >= n:
        return dataclasses.replace(made, triangle=(Q, R))
    return dataclasses.replace(made, row_triangle=(Q, R))


def _cut(
    scaled: Scaled,
    U: numpy.ndarray,
    s: numpy.ndarray,
    V: numpy.ndarray,
    rcond: float,
    most: int,
    kernels: list[str],
) -> Decomposed:
    largest = float(s[0])
    rank = min(int(np.count_nonzero(s > rcond * largest)), most)
    above = ldexp(float(s[rank - 1]), scaled.exponent) if rank else None
    below = ldexp(float(s[rank]), scaled.exponent) if rank < len(s) else None
    top = ldexp(largest, scaled.exponent)
    cut = Cut(rank, rcond, ldexp(rcond * largest, scaled.exponent), top, above, below)
    kept = max(rank, 1)
    U, V = np.ascontiguousarray(U[:, :kept]), np.ascontiguousarray(V[:, :kept])
    return Decomposed(scaled, U, s[:kept], V, cut, [*kernels, f"sweep {scaled.facts.kernel}"])


def require_dense(matrix: Metered, what: str, hint: str) -> None:
    """Raise ResourceError for a matrix too large for a full decomposition."""
    m, n = matrix.shape
    if matrix.nnz is not None and m * n > LAPACK_ENTRIES:
        raise ResourceError(
            f"{what} is sparse, {m}x{n}, and a full decomposition takes it as a dense one of {m * n} entries, "
            f"more than {LAPACK_ENTRIES}",
            hint=hint,
        )
    memory.require(4 * m * n * matrix.dtype.itemsize, f"a full decomposition of {what}, {m}x{n},", hint)
