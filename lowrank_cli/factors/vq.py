"""Vector quantization: every row of a matrix replaced by codewords of a book, A ~ S C with one-hot S."""

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
class Codes(Approximation):
    """codes (m, L), unsigned, as narrow as K codewords allow; codebook (L K, n), the books of L levels stacked.

    Row i is the sum over l of codebook[l K + codes[i, l]]. With one level K is a bound for the rank of the matrix.
    """

    kind = "vq"
    product = "row i: sum over l of codebook[l K + codes[i, l]], K = len(codebook) / codes.shape[1]"

    codes: numpy.ndarray
    codebook: numpy.ndarray

    def fits(self) -> bool:
        levels = self.codes.shape[1]
        return len(self.codebook) % levels == 0 and self.codebook.ndim == 2 and _within(self.codes, self.rank)

    @property
    def _books(self) -> numpy.ndarray:
        """(L, K, n)."""
        return self.codebook.reshape(self.codes.shape[1], -1, self.codebook.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.codes), self.codebook.shape[1]

    @property
    def dtype(self) -> numpy.dtype:
        return self.codebook.dtype

    @property
    def rank(self) -> int:
        """Codewords of each book."""
        return len(self.codebook) // self.codes.shape[1]

    @property
    def bounded(self) -> bool:
        return self.codes.shape[1] == 1

    @property
    def apply_flops(self) -> int:
        return 2 * self.codebook.size + self.codes.size - len(self.codes)

    @property
    def entry_flops(self) -> int:
        return self.codes.shape[1] - 1

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        made = [(book @ X)[chosen] for book, chosen in zip(self._books, self.codes.T, strict=True)]
        return np.sum(made, axis=0) if len(made) > 1 else made[0]

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        sums = [_gathered(chosen, Y, self.rank) for chosen in self.codes.T]
        return np.ascontiguousarray(self.codebook.conj().T) @ np.concatenate(sums)

    def blocks(self) -> Callable[[slice, slice], numpy.ndarray]:
        books = self._books

        def block(rows: slice, cols: slice) -> numpy.ndarray:
            made = books[0][self.codes[rows, 0], cols]
            for book, chosen in zip(books[1:], self.codes[rows, 1:].T, strict=True):
                made += book[chosen, cols]
            return made

        return block

    def scaled(self, exponent: int) -> Codes:
        return dataclasses.replace(self, codebook=scale_exactly(self.codebook, exponent))


@dataclasses.dataclass(frozen=True, eq=False)
class ProductCodes(Approximation):
    """codes (m, P), unsigned; codebook (K, n); starts (P,), where each part of the columns begins, the first at 0.

    In the columns of part p row i is codeword codes[i, p]: P books side by side, one code for each.
    """

    kind = "vq"
    product = "row i, in the columns from starts[p] to the next: codebook[codes[i, p]]"

    codes: numpy.ndarray
    codebook: numpy.ndarray
    starts: numpy.ndarray

    def fits(self) -> bool:
        starts, n = self.starts, self.codebook.shape[1]
        ordered = starts.dtype.kind == "i" and starts[0] == 0 and bool(np.all(np.diff(starts, append=n) > 0))
        return ordered and self.codes.shape[1] == len(starts) and _within(self.codes, len(self.codebook))

    @property
    def parts(self) -> list[slice]:
        """The columns of each part."""
        ends = [*self.starts[1:], self.codebook.shape[1]]
        return [slice(int(a), int(b)) for a, b in zip(self.starts, ends, strict=True)]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.codes), self.codebook.shape[1]

    @property
    def dtype(self) -> numpy.dtype:
        return self.codebook.dtype

    @property
    def rank(self) -> int:
        """Codewords of each book."""
        return len(self.codebook)

    @property
    def bounded(self) -> bool:
        return len(self.starts) == 1

    @property
    def apply_flops(self) -> int:
        return 2 * self.codebook.size + self.codes.size - len(self.codes)

    @property
    def entry_flops(self) -> int:
        return 0

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        made = [
            (np.ascontiguousarray(self.codebook[:, part]) @ X[part])[chosen]
            for part, chosen in zip(self.parts, self.codes.T, strict=True)
        ]
        return np.sum(made, axis=0) if len(made) > 1 else made[0]

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        made = [
            np.ascontiguousarray(self.codebook[:, part].conj().T) @ _gathered(chosen, Y, self.rank)
            for part, chosen in zip(self.parts, self.codes.T, strict=True)
        ]
        return np.concatenate(made)

    def blocks(self) -> Callable[[slice, slice], numpy.ndarray]:
        parts = self.parts

        def block(rows: slice, cols: slice) -> numpy.ndarray:
            made = np.empty((rows.stop - rows.start, cols.stop - cols.start), self.dtype)
            for part, chosen in zip(parts, self.codes[rows].T, strict=True):
                both = slice(max(part.start, cols.start), min(part.stop, cols.stop))
                if both.start < both.stop:
                    made[:, both.start - cols.start : both.stop - cols.start] = self.codebook[chosen, both]
            return made

        return block

    def scaled(self, exponent: int) -> ProductCodes:
        return dataclasses.replace(self, codebook=scale_exactly(self.codebook, exponent))


def _within(codes: numpy.ndarray, words: int) -> bool:
    return codes.dtype.kind in "iu" and (not codes.size or (codes.min() >= 0 and int(codes.max()) < words))


def _gathered(codes: numpy.ndarray, Y: numpy.ndarray, words: int) -> numpy.ndarray:
    """S^T Y for the one-hot S of the codes: rows of Y added up by code."""
    sums = np.zeros((words, Y.shape[1]), Y.dtype)
    np.add.at(sums, codes, Y)
    return sums
