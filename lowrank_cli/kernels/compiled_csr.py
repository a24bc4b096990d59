"""The numba kernels of compressed sparse rows. ``compiled`` has what is said of all of them."""

from __future__ import annotations

import numba
import numpy as np

from . import jit
from .fetching import fetch_ahead

_kernel = numba.njit(nogil=True, cache=jit.cache_path() is not None)


@_kernel
def csr_rows(indptr, indices, data, X, out):
    """out = A X for the rows that indptr bounds, each summed in stored order."""
    rows, width = out.shape
    for i in range(rows):
        for c in range(width):
            out[i, c] = 0
        for t in range(indptr[i], indptr[i + 1]):
            fetch_ahead(X, indices, t, indptr[rows])
            a, j = data[t], indices[t]
            for c in range(width):
                out[i, c] += a * X[j, c]


@_kernel
def csr_tree_rows(indptr, indices, data, X, out, stretch, levels):
    """out = A X for the rows that indptr bounds, each summed by stretches of columns and these in a tree of eight.

    part[0] is the sum of a stretch, part[k] that of 8**k of them. What is alone in its node goes up without a sum.
    """
    rows, width = out.shape
    part = np.zeros((levels, width), out.dtype)
    used = np.zeros(levels, np.bool_)
    zero = out.dtype.type(0)
    for i in range(rows):
        t, last = indptr[i], indptr[i + 1]
        group = indices[t] // stretch if t < last else 0
        while t < last:
            beyond = (group + 1) * stretch
            stop = t + 1
            while stop < last and indices[stop] < beyond:
                stop += 1
            # the level at which this stretch and the next with entries meet
            top, after = levels - 1, 0
            if stop < last:
                after = indices[stop] // stretch
                top, apart = 0, group ^ after
                while apart:
                    apart, top = apart >> 3, top + 1
            at = 0
            if stop - t == 1:
                at = 1
                while at < top and not used[at]:
                    at += 1
            fetch_ahead(X, indices, t, indptr[rows])
            a, j = data[t], indices[t]
            if used[at]:
                for c in range(width):
                    part[at, c] += a * X[j, c]
            else:
                # a sum begins with zero, which a product of -0 shows
                for c in range(width):
                    part[at, c] = zero + a * X[j, c]
                used[at] = True
            for s in range(t + 1, stop):
                fetch_ahead(X, indices, s, indptr[rows])
                a, j = data[s], indices[s]
                for c in range(width):
                    part[at, c] += a * X[j, c]
            for k in range(at + 1, top + 1):
                if used[k]:
                    for c in range(width):
                        part[k, c] += part[at, c]
                elif k == top:
                    for c in range(width):
                        part[k, c] = part[at, c]
                    used[k] = True
                else:
                    continue
                used[at] = False
                at = k
            t, group = stop, after
        for c in range(width):
            out[i, c] = part[levels - 1, c] if used[levels - 1] else 0
        used[levels - 1] = False


@_kernel
def csr_scatter(indptr, indices, data, Y, out, first, last):
    """Columns first to last of out += A^T Y for the rows that indptr bounds, added in the order of the rows."""
    for i in range(Y.shape[0]):
        for t in range(indptr[i], indptr[i + 1]):
            a, j = data[t], indices[t]
            for c in range(first, last):
                out[j, c] += a * Y[i, c]


@_kernel
def csr_transpose(indptr, indices, data, new_indptr, new_indices, new_data):
    """Stable counting sort by column: within a column the rows keep their order."""
    rows, cols = indptr.shape[0] - 1, new_indptr.shape[0] - 1
    for t in range(indptr[0], indptr[rows]):
        new_indptr[indices[t] + 1] += 1
    for c in range(cols):
        new_indptr[c + 1] += new_indptr[c]
    place = new_indptr[:cols].copy()
    for i in range(rows):
        for t in range(indptr[i], indptr[i + 1]):
            to = place[indices[t]]
            new_indices[to] = i
            new_data[to] = data[t]
            place[indices[t]] = to + 1
