"""The numba kernels, each in one module with what it calls: a cached kernel does not notice changes elsewhere.

Only ``jit`` imports this; those of sparse rows are in ``compiled_csr``. Inputs are C-ordered read-only arrays
(``jit.frozen``), so that each kernel has one form a dtype. No kernel is parallel and none may reorder sums: threads
belong to the engines, and bits to the reader.
"""

from __future__ import annotations

import numba
import numpy as np

from . import jit
from .compiled_csr import csr_rows, csr_scatter, csr_transpose, csr_tree_rows  # noqa: F401  by name

_kernel = numba.njit(nogil=True, cache=jit.cache_path() is not None)
#: What only kernels call is linked into them and cached with them.
_inner = numba.njit(nogil=True)

#: Columns whose vectors stay in the first-level cache.
PANEL = 2048

#: Names of the kernels, for the cache guard and the warm-up.
KERNELS = (
    "sweep",
    "pivoted_qr",
    "back_substitute",
    "draw",
    "systematic",
    "gather_columns",
    "csr_rows",
    "csr_tree_rows",
    "csr_scatter",
    "csr_transpose",
)


@_kernel
def sweep(tile, block, squares, largest, factor_one, factor_two):
    """Per column: sum of squares of the scaled entries, summed by blocks of rows, and the largest modulus."""
    rows, cols = tile.shape
    part = np.empty(cols, np.float64)
    for start in range(0, rows, block):
        part[:] = 0.0
        for i in range(start, min(start + block, rows)):
            for j in range(cols):
                raw = np.float64(tile[i, j])
                value = raw * factor_one * factor_two
                part[j] += value * value
                size = abs(raw)
                largest[j] = size if size > largest[j] else largest[j]
        for j in range(cols):
            squares[j] += part[j]


@_inner
def _total(squares):
    """The sum by panels, which keeps its rounding small for millions of columns."""
    total = 0.0
    for start in range(0, squares.shape[0], PANEL):
        part = 0.0
        for c in range(start, min(start + PANEL, squares.shape[0])):
            part += squares[c]
        total += part
    return total


@_inner
def _size(v):
    size = 0.0
    for i in range(v.shape[0]):
        size += np.float64(v[i]) * np.float64(v[i])
    return size


@_inner
def _remainder(Y, Q, R, j, p, v, coefficients):
    """v = column p of Y orthogonalised against j rows of Q, at least twice; returns its squared norm."""
    l = Y.shape[0]
    for i in range(l):
        v[i] = Y[i, p]
    for s in range(j):
        coefficients[s] = R[s, p]
        for i in range(l):
            v[i] -= Q[s, i] * coefficients[s]
    size = _size(v)
    before = np.inf
    sweeps = 0
    again = np.empty(j, Y.dtype)
    while j > 0 and sweeps < 5 and (sweeps == 0 or size < 0.5 * before):
        before = size
        for s in range(j):
            h = Q[s, 0] * v[0]
            for i in range(1, l):
                h += Q[s, i] * v[i]
            again[s] = h
        for s in range(j):
            coefficients[s] += again[s]
            for i in range(l):
                v[i] -= Q[s, i] * again[s]
        size = _size(v)
        sweeps += 1
    return size


@_inner
def _project(Y, q, row):
    """row = q^T Y, four rows of Y at a time, by panels of columns that stay in cache."""
    l, n = Y.shape
    for start in range(0, n, PANEL):
        stop = min(start + PANEL, n)
        for c in range(start, stop):
            row[c] = 0
        for i in range(0, l - 3, 4):
            a, b, d, e = q[i], q[i + 1], q[i + 2], q[i + 3]
            for c in range(start, stop):
                row[c] += a * Y[i, c] + b * Y[i + 1, c] + (d * Y[i + 2, c] + e * Y[i + 3, c])
        for i in range(l - l % 4, l):
            a = q[i]
            for c in range(start, stop):
                row[c] += a * Y[i, c]


@_inner
def _floor(square, noise, redo, blur):
    """Down to where a square formed just now may be downdated; see ``pivoting.Limits.floors``."""
    return max(redo * square, np.sqrt(blur * square)) if square > noise else -1.0


@_inner
def _downdate(row, squares, floors, lost):
    """The norms a row of R leaves; returns how many are to be formed anew, and lists those."""
    count = 0
    for start in range(0, row.shape[0], PANEL):
        stop = min(start + PANEL, row.shape[0])
        some = False
        for c in range(start, stop):
            entry = np.float64(row[c])
            left = squares[c] - entry * entry
            left = max(left, 0.0)
            some |= left <= floors[c]
            squares[c] = left
        if some:  # rare, and its branch would slow the loop above
            for c in range(start, stop):
                lost[count] = c
                count += squares[c] <= floors[c]
    return count


@_inner
def _renew(Y, Q, R, steps, columns, squares):
    """Squared norms of Y - Q R formed anew for these columns, a block of them at a time."""
    l = Y.shape[0]
    width = 128
    E, part = np.empty((l, width), Y.dtype), np.empty((steps, width), Y.dtype)
    sizes = np.empty(width, np.float64)
    for start in range(0, columns.shape[0], width):
        w = min(width, columns.shape[0] - start)
        block = columns[start : start + w]
        for s in range(steps):
            for t in range(w):
                part[s, t] = R[s, block[t]]
        sizes[:] = 0.0
        for i in range(l):
            for t in range(w):
                E[i, t] = Y[i, block[t]]
            for s in range(steps):
                q = Q[s, i]
                for t in range(w):
                    E[i, t] -= q * part[s, t]
            for t in range(w):
                sizes[t] += np.float64(E[i, t]) * np.float64(E[i, t])
        for t in range(w):
            squares[block[t]] = sizes[t]


@_kernel
def pivoted_qr(Y, k, goal, noise, redo, blur, squares, pivots, Q, R, trail):
    """Left-looking column-pivoted QR; see ``pivoting``. Fills the arrays (Q by rows) and returns the rank."""
    l, n = Y.shape
    floors = np.empty(n, np.float64)
    for c in range(n):
        floors[c] = _floor(squares[c], noise, redo, blur)
    v = np.empty(l, Y.dtype)
    coefficients = np.empty(k, Y.dtype)
    lost = np.empty(n + 1, np.int64)
    total = _total(squares)
    trail[0] = np.sqrt(total)
    for j in range(k):
        if total <= goal:
            return j
        # the next pivot: the largest stored norm, lowest index on ties; a stale one is corrected
        while True:
            p = 0
            for c in range(1, n):
                if squares[c] > squares[p]:
                    p = c
            if squares[p] <= noise:
                return j
            size = _remainder(Y, Q, R, j, p, v, coefficients)
            if size >= 0.5 * squares[p]:
                break
            squares[p] = size
            floors[p] = _floor(size, noise, redo, blur)
        norm = np.sqrt(size)
        pivots[j] = p
        for s in range(j):
            R[s, p] = coefficients[s]
        for i in range(l):
            Q[j, i] = v[i] / norm
        _project(Y, Q[j], R[j])
        # a pivot never returns: its norm is exactly zero and is not formed anew
        for s in range(j + 1):
            R[j, pivots[s]] = 0
        squares[p] = 0.0
        floors[p] = -1.0
        count = _downdate(R[j], squares, floors, lost)
        R[j, p] = norm
        _renew(Y, Q, R, j + 1, lost[:count], squares)
        for t in range(count):
            floors[lost[t]] = _floor(squares[lost[t]], noise, redo, blur)
        total = _total(squares)
        trail[j + 1] = np.sqrt(total)
    return k


@_inner
def _subtract(B, i, T, first, last):
    """B[i] -= T[i, s] B[s] for s from last down to first, four at a time."""
    width = B.shape[1]
    s = last
    while s - 3 >= first:
        t, u, v, w = T[i, s], T[i, s - 1], T[i, s - 2], T[i, s - 3]
        for c in range(width):
            B[i, c] -= t * B[s, c] + u * B[s - 1, c] + (v * B[s - 2, c] + w * B[s - 3, c])
        s -= 4
    while s >= first:
        t = T[i, s]
        for c in range(width):
            B[i, c] -= t * B[s, c]
        s -= 1


@_kernel
def back_substitute(T, Z):
    """Solve T Z' = Z in place, T upper triangular, by narrow panels copied together to stay in cache."""
    r, n = Z.shape
    width = 128
    B = np.zeros((r, width), Z.dtype)
    for start in range(0, n, width):
        w = min(width, n - start)
        for i in range(r):
            for c in range(w):
                B[i, c] = Z[i, start + c]
        for i in range(r - 1, -1, -1):
            _subtract(B, i, T, i + 1, r - 1)
            d = T[i, i]
            for c in range(width):
                B[i, c] /= d
        for i in range(r):
            for c in range(w):
                Z[i, start + c] = B[i, c]


@_kernel
def draw(p, u, last, out):
    """Inverse distribution function: for each uniform the first entry whose cumulative sum exceeds it."""
    n = p.shape[0]
    cumulative = np.empty(n, np.float64)
    total = 0.0
    for i in range(n):
        total += p[i]
        cumulative[i] = total
    for t in range(u.shape[0]):
        mark = u[t] * total
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if cumulative[middle] <= mark:
                low = middle + 1
            else:
                high = middle
        out[t] = min(low, last)


@_kernel
def systematic(p, u, r, out):
    """Positions whose stretch of the cumulative sum holds one of u, u + 1, ..., u + r - 1; returns how many."""
    count, total, passed = 0, 0.0, 0.0
    for i in range(p.shape[0]):
        total += p[i]
        reached = min(max(np.ceil(total - u), 0.0), np.float64(r))
        if reached > passed:
            out[count] = i
            count += 1
            passed = reached
    return count


@_kernel
def gather_columns(X, index, scale, out):
    """out[i, t] = X[i, index[t]] * scale[t]; an empty scale means a plain copy."""
    rows, count = X.shape[0], index.shape[0]
    if scale.shape[0] == 0:
        for i in range(rows):
            for t in range(count):
                out[i, t] = X[i, index[t]]
    else:
        for i in range(rows):
            for t in range(count):
                out[i, t] = X[i, index[t]] * scale[t]
