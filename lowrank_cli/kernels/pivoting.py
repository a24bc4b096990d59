"""Column-pivoted QR that stops early: the columns that best span a sketch, in order."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..errors import NumericalError, UsageError
from ..lazy import np
from . import jit
from .sweep import tile_sweep

if TYPE_CHECKING:
    import numpy

#: Columns whose residual is formed anew at once, which bounds the memory of doing so.
_BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class PivotedQR:
    """Y ~ Q R with r columns of Y as pivots.

    pivots (r,) int64; Q (l, r) with orthonormal columns; R (r, n) in the column order of Y, so that R[:, pivots] is
    upper triangular with a positive real diagonal; residual_squares (n,) float64, squared column norms of Y - Q R,
    exactly 0 at the pivots; trail (r + 1,) float64, Frobenius norm of the residual after 0 .. r steps.
    """

    pivots: numpy.ndarray
    Q: numpy.ndarray
    R: numpy.ndarray
    residual_squares: numpy.ndarray
    trail: numpy.ndarray


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to stop, and when a downdated norm is no longer trusted; all in squares of the units of Y.

    goal: residual at which to stop. noise: column at which to stop. redo: a norm is formed anew when it falls to this
    share of what it was when last formed. blur: the size of rounding in R, which makes about sqrt(blur s) of error in
    a square downdated from s; a norm is formed anew when it falls to that, too.
    """

    goal: float
    noise: float
    redo: float
    blur: float

    def floors(self, squares: numpy.ndarray) -> numpy.ndarray:
        """Down to where squares formed just now may be downdated; -1, so never anew, for what is noise already."""
        floors = np.maximum(self.redo * squares, np.sqrt(self.blur * squares))
        return np.where(squares > self.noise, floors, -1.0)


def pivoted_qr(Y: numpy.ndarray, k: int, rtol: float = 0.0, compiled: bool = False) -> PivotedQR:
    """Column-pivoted QR of Y (l, n), real or complex floating.

    Each step takes the column of largest remaining norm, the lowest index on ties. Stops after k steps, when the
    residual is at most rtol |Y|_F, or when it is rounding noise: its largest column below max(8, sqrt(l) / 2) eps times
    the largest of Y. So r may be less than k. Norms are downdated, and formed anew when half their digits are lost
    (Drmac and Bujanovic, ACM TOMS 35, 2008); pivot columns are orthogonalised at least twice. Outside the range of
    squares Y is scaled by a power of two, and only residual_squares may then overflow or vanish.

    Raises NumericalError when Y is not finite, UsageError when it is not a 2-D floating array. Cost: 2 l n r flops for
    R, and as much times the share of norms formed anew; memory n r + l r. Unlike LAPACK's geqp3 nothing is updated but
    R and the norms, so stopping at r costs r / min(l, n) of the whole.
    """
    if Y.ndim != 2 or Y.dtype.char not in "fdFD":
        raise UsageError(f"pivoted QR takes a 2-D float32, float64 or complex array, not {Y.ndim}-D {Y.dtype}")
    # BLAS rounds differently for the two storage orders
    Y = np.ascontiguousarray(Y)
    l, n = Y.shape
    k = max(0, min(int(k), l, n))
    facts = tile_sweep(Y, compiled)
    if facts.bad:
        raise NumericalError(
            f"pivoted QR met {facts.bad} entries that are not finite, the first at {facts.first_bad}",
            hint="the sketch overflowed; scale the matrix",
        )
    work = Y if facts.exponent == 0 else _scaled(Y, -facts.exponent)
    squares = facts.column_squares.copy()
    eps = float(np.finfo(Y.dtype).eps)
    goal = float(rtol) ** 2 * float(squares.sum())
    noise = (max(8.0, 0.5 * math.sqrt(l)) * eps) ** 2 * float(squares.max(initial=0.0))
    limits = Limits(goal, noise, math.sqrt(eps), (16 * eps) ** 2 * float(squares.max(initial=0.0)))
    module = jit.compiled() if compiled else None
    if module is not None and Y.dtype.char in "fd":
        result = _run_compiled(module, work, k, limits, squares)
    else:
        result = pivoted_qr_numpy(work, k, limits, squares)
    if facts.exponent == 0:
        return result
    with np.errstate(all="ignore"):
        return dataclasses.replace(
            result,
            R=_scaled(result.R, facts.exponent),
            residual_squares=np.ldexp(result.residual_squares, 2 * facts.exponent),
            trail=np.ldexp(result.trail, facts.exponent),
        )


def seconds_saved(l: int, n: int, k: int) -> float:
    """Estimated saving of the kernel over the twin: passes over the norms; tall sketches are BLAS's from l near 60."""
    return min(k, l, n) * n * max(0.0, 3.5e-9 - 6e-11 * l)


def pivoted_qr_numpy(Y: numpy.ndarray, k: int, limits: Limits, squares: numpy.ndarray) -> PivotedQR:
    """The twin; squares holds the squared column norms of Y and is overwritten."""
    l, n = Y.shape
    floors = limits.floors(squares)
    pivots = np.empty(k, np.int64)
    Q = np.empty((l, k), Y.dtype, order="F")
    R = np.empty((k, n), Y.dtype)
    trail = np.empty(k + 1)
    total = float(squares.sum())
    trail[0] = math.sqrt(total)
    r = 0
    while r < k and total > limits.goal:
        found = _next_pivot(Y, Q[:, :r], R[:r], squares, floors, limits)
        if found is None:
            break
        p, v, coefficients, size = found
        norm = math.sqrt(size)
        pivots[r] = p
        R[:r, p] = coefficients
        np.divide(v, norm, out=Q[:, r], casting="same_kind")
        np.matmul(Q[:, r].conj(), Y, out=R[r])
        R[r, pivots[: r + 1]] = 0
        # a pivot never returns: its norm is exactly zero and is not formed anew
        squares[p], floors[p] = 0.0, -1.0
        np.maximum(squares - _squares(R[r][None, :]), 0.0, out=squares)
        lost = np.flatnonzero(squares <= floors)
        R[r, p] = norm
        r += 1
        for start in range(0, len(lost), _BLOCK):
            some = lost[start : start + _BLOCK]
            squares[some] = _squares(Y[:, some] - Q[:, :r] @ R[:r, some])
            floors[some] = limits.floors(squares[some])
        total = float(squares.sum())
        trail[r] = math.sqrt(total)
    return PivotedQR(pivots[:r].copy(), Q[:, :r], R[:r], squares, trail[: r + 1].copy())


def _next_pivot(
    Y: numpy.ndarray,
    Q: numpy.ndarray,
    R: numpy.ndarray,
    squares: numpy.ndarray,
    floors: numpy.ndarray,
    limits: Limits,
) -> tuple[int, numpy.ndarray, numpy.ndarray, float] | None:
    """The column of largest stored norm, orthogonalised; None when only noise is left. Corrects stale norms."""
    while True:
        p = int(np.argmax(squares))
        if squares[p] <= limits.noise:
            return None
        coefficients = R[:, p].copy()
        v = Y[:, p] - Q @ coefficients
        size, before, sweeps = float(_squares(v[:, None])[0]), math.inf, 0
        while Q.shape[1] and sweeps < 5 and (sweeps == 0 or size < 0.5 * before):
            again = Q.conj().T @ v
            coefficients += again
            v -= Q @ again
            size, before, sweeps = float(_squares(v[:, None])[0]), size, sweeps + 1
        if size >= 0.5 * squares[p]:
            return p, v, coefficients, size
        squares[p] = size
        floors[p] = limits.floors(squares[p])


def _squares(E: numpy.ndarray) -> numpy.ndarray:
    """Squared column norms in float64."""
    if np.iscomplexobj(E):
        return np.square(E.real, dtype=np.float64).sum(axis=0) + np.square(E.imag, dtype=np.float64).sum(axis=0)
    return np.square(E, dtype=np.float64).sum(axis=0)


def _run_compiled(module: object, Y: numpy.ndarray, k: int, limits: Limits, squares: numpy.ndarray) -> PivotedQR:
    l, n = Y.shape
    pivots, Qt, R, trail = np.empty(k, np.int64), np.empty((k, l), Y.dtype), np.empty((k, n), Y.dtype), np.empty(k + 1)
    run = module.pivoted_qr  # type: ignore[attr-defined]
    r = int(run(jit.frozen(Y), k, *dataclasses.astuple(limits), squares, pivots, Qt, R, trail)) if n else 0
    if not n:
        trail[0] = 0.0
    return PivotedQR(pivots[:r].copy(), Qt[:r].T, R[:r], squares, trail[: r + 1].copy())


def _scaled(array: numpy.ndarray, exponent: int) -> numpy.ndarray:
    """array * 2**exponent, part by part."""
    flat = np.ascontiguousarray(array)
    return np.ldexp(flat.view(flat.real.dtype), exponent).view(flat.dtype)
