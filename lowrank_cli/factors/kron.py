"""Sums of Kronecker products: A ~ sum_i s_i B_i (x) C_i."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.tiles import scale_exactly
from .base import Approximation

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class KroneckerSum(Approximation):
    """s (r,) non-negative and non-increasing; B (r m1, n1) and C (r m2, n2) hold the r terms below one another.

    Term i is s_i B_i (x) C_i with B_i = B[i m1:(i + 1) m1], C_i = C[i m2:(i + 1) m2], each of Frobenius norm 1 and
    orthogonal to those of other terms as vectors. Signs by rule: the first entry of largest modulus in each B_i is real
    and positive.
    """

    kind = "kron"
    product = "sum_i s_i B_i (x) C_i, B_i and C_i the i-th of len(s) equal blocks of rows"

    s: numpy.ndarray
    B: numpy.ndarray
    C: numpy.ndarray

    def fits(self) -> bool:
        r = len(self.s)
        return self.s.ndim == 1 and len(self.B) % r == 0 and len(self.C) % r == 0 and self.B.ndim == self.C.ndim == 2

    @property
    def _terms(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """s_i B_i as (r, m1, n1), and C_i as (r, m2, n2)."""
        r = len(self.s)
        B, C = (np.ascontiguousarray(X).reshape(r, -1, X.shape[1]) for X in (self.B, self.C))
        return B * self.s.astype(B.real.dtype)[:, None, None], C

    @property
    def shape(self) -> tuple[int, int]:
        r = len(self.s)
        return (len(self.B) // r) * (len(self.C) // r), self.B.shape[1] * self.C.shape[1]

    @property
    def dtype(self) -> numpy.dtype:
        return np.result_type(self.B.dtype, self.C.dtype)

    @property
    def rank(self) -> int:
        """Terms; as a matrix it may have any rank."""
        return len(self.s)

    @property
    def bounded(self) -> bool:
        return False

    def _left_first(self) -> bool:
        """Whether B is cheaper to apply before C than after."""
        r, (m1, n1), (m2, n2) = len(self.s), self.B.shape, self.C.shape
        return (m1 // r) * n2 * (n1 + m2 // r) <= (m2 // r) * n1 * (n2 + m1 // r)

    @property
    def apply_flops(self) -> int:
        r, (m1, n1), (m2, n2) = len(self.s), self.B.shape, self.C.shape
        m1, m2 = m1 // r, m2 // r
        return 2 * r * min(m1 * n2 * (n1 + m2), m2 * n1 * (n2 + m1))

    @property
    def entry_flops(self) -> int:
        return 2 * len(self.s)

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        """(B (x) C) vec(X) = vec(C X B^T), term by term; no term is formed."""
        return _apply(*self._terms, np.ascontiguousarray(X), self._left_first())

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        B, C = self._terms
        Bh, Ch = (np.ascontiguousarray(T.conj().transpose(0, 2, 1)) for T in (B, C))
        return _apply(Bh, Ch, np.ascontiguousarray(Y), self._left_first())

    def blocks(self) -> Callable[[slice, slice], numpy.ndarray]:
        B, C = self._terms
        m2, n2 = C.shape[1:]

        def block(rows: slice, cols: slice) -> numpy.ndarray:
            out = np.empty((rows.stop - rows.start, cols.stop - cols.start), self.dtype)
            for i1, i2, down in _segments(rows, m2):
                for j1, j2, along in _segments(cols, n2):
                    # rows of these entries in the rearranged matrix times its columns: one product for all terms
                    left = np.ascontiguousarray(B[:, i1, j1]).reshape(len(B), -1)
                    right = np.ascontiguousarray(C[:, i2, j2])
                    made = np.ascontiguousarray(left.T) @ right.reshape(len(C), -1)
                    sides = (i1.stop - i1.start, j1.stop - j1.start, *right.shape[1:])
                    made = made.reshape(sides).transpose(0, 2, 1, 3)
                    out[down, along] = made.reshape(sides[0] * sides[2], sides[1] * sides[3])
            return out

        return block

    def scaled(self, exponent: int) -> KroneckerSum:
        return dataclasses.replace(self, s=scale_exactly(self.s, exponent))


def _segments(span: slice, length: int) -> list[tuple[slice, slice, slice]]:
    """A range of rows cut where blocks of that length end: (blocks, rows within each, where they are in the range).

    At most three pieces: the end of a block, whole blocks, the beginning of one.
    """
    found, at = [], span.start
    while at < span.stop:
        block, inside = divmod(at, length)
        whole = (span.stop - at) // length if inside == 0 else 0
        end = (block + max(1, whole)) * length if whole else min(span.stop, (block + 1) * length)
        within = slice(0, length) if whole else slice(inside, inside + end - at)
        found.append((slice(block, block + max(1, whole)), within, slice(at - span.start, end - span.start)))
        at = end
    return found


def _apply(B: numpy.ndarray, C: numpy.ndarray, X: numpy.ndarray, left_first: bool) -> numpy.ndarray:
    """sum_i (B_i (x) C_i) X for B (r, m1, n1), C (r, m2, n2) and X (n1 n2, l)."""
    (m1, n1), (m2, n2), l = B.shape[1:], C.shape[1:], X.shape[1]
    total = np.zeros((m1, m2, l), np.result_type(B.dtype, C.dtype, X.dtype))
    for left, right in zip(B, C, strict=True):
        if left_first:
            total += right @ (left @ X.reshape(n1, n2 * l)).reshape(m1, n2, l)
        else:
            total += (left @ (right @ X.reshape(n1, n2, l)).reshape(n1, m2 * l)).reshape(m1, m2, l)
    return total.reshape(m1 * m2, l)
