"""Arithmetic of tall blocks: Gram matrices, products, orthonormal bases. Fixed row blocks, sums in a fixed tree.

The bits depend on neither the number of threads nor the engine. A block is a C-ordered (m, l) array with l much
smaller than m.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..engines.threads import Engine
from ..lazy import np
from .grid import cuts, ranges, tree_sum

if TYPE_CHECKING:
    import numpy


def pieces(m: int) -> list[slice]:
    """The rows of a block's pieces: those of the tiles of a dense matrix of so many rows."""
    return ranges(cuts(m))


class Columns:
    """An (m, l) matrix kept as the C-ordered blocks of columns that it grew by: joining one copies nothing."""

    def __init__(self, m: int, dtype: numpy.dtype, blocks: Sequence[numpy.ndarray] = ()):
        self.blocks = tuple(blocks)
        self.dtype = np.dtype(dtype)
        self.shape = (m, sum(block.shape[1] for block in self.blocks))

    def joined(self, block: numpy.ndarray) -> Columns:
        return Columns(self.shape[0], self.dtype, (*self.blocks, block))

    def prefix(self, columns: int) -> Columns:
        """The first columns, as many as some first blocks have."""
        first = 0
        while columns > 0:
            columns -= self.blocks[first].shape[1]
            first += 1
        return Columns(self.shape[0], self.dtype, self.blocks[:first])

    def dense(self) -> numpy.ndarray:
        """One array."""
        return np.hstack(self.blocks) if self.blocks else np.empty(self.shape, self.dtype)


def _parts(W: Columns | numpy.ndarray) -> tuple[tuple[numpy.ndarray, ...], list[slice]]:
    """The blocks of W, and which columns of W each of them is."""
    blocks = W.blocks if isinstance(W, Columns) else (W,)
    marks = [0, *itertools.accumulate(block.shape[1] for block in blocks)]
    return blocks, ranges(marks)


def cross(V: Columns | numpy.ndarray, Z: numpy.ndarray, engine: Engine, wide: bool = False) -> numpy.ndarray:
    """V^H Z for V (m, l) and Z (m, b); wide: accumulated and returned in double precision."""
    parts = pieces(V.shape[0])
    dtype = np.result_type(V.dtype, Z.dtype, np.float64) if wide else np.result_type(V.dtype, Z.dtype)
    blocks, columns = _parts(V)

    def one(i: int) -> numpy.ndarray:
        # a C-ordered copy of every piece that is not: BLAS paths for small products depend on strides
        right = np.ascontiguousarray(Z[parts[i]], dtype=dtype)
        product = np.empty((V.shape[1], Z.shape[1]), dtype)
        for block, at in zip(blocks, columns, strict=True):
            np.matmul(np.ascontiguousarray(block[parts[i]], dtype=dtype).conj().T, right, out=product[at])
        return product

    return _total(one, len(parts), engine, (V.shape[1], Z.shape[1]), dtype)


def gram(W: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """W^H W, accumulated and returned in double precision."""
    parts = pieces(W.shape[0])
    wide = np.result_type(W.dtype, np.float64)

    def one(i: int) -> numpy.ndarray:
        piece = np.ascontiguousarray(W[parts[i]], dtype=wide)
        return piece.conj().T @ piece

    G = _total(one, len(parts), engine, (W.shape[1], W.shape[1]), wide)
    return 0.5 * (G + G.conj().T)


def lengths(Z: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """Lengths of the columns of Z, in double precision."""
    parts = pieces(Z.shape[0])
    count = Z.shape[1] * (2 if Z.dtype.kind == "c" else 1)

    def one(i: int) -> numpy.ndarray:
        piece = np.ascontiguousarray(Z[parts[i]])
        real = piece.view(piece.real.dtype).reshape(len(piece), count).astype(np.float64)
        return np.square(real, out=real).sum(axis=0)

    squares = _total(one, len(parts), engine, (count,), np.dtype(np.float64))
    return np.sqrt(squares if count == Z.shape[1] else squares[0::2] + squares[1::2])


def times(
    W: Columns | numpy.ndarray,
    T: numpy.ndarray,
    engine: Engine,
    dtype: numpy.dtype | None = None,
    out: numpy.ndarray | None = None,
) -> numpy.ndarray:
    """W T for W (m, l) and a small T (l, k), computed in the dtype of W. dtype: what the result is kept in. out: where
    it is kept; W itself will do."""
    T = np.ascontiguousarray(T, dtype=W.dtype)
    made = np.empty((W.shape[0], T.shape[1]), dtype or W.dtype) if out is None else out
    parts = pieces(W.shape[0])
    blocks, columns = _parts(W)

    def one(i: int) -> None:
        total = None
        for block, at in zip(blocks, columns, strict=True):
            product = np.ascontiguousarray(block[parts[i]]) @ T[at]
            total = product if total is None else np.add(total, product, out=total)
        made[parts[i]] = 0 if total is None else total

    engine.map(one, len(parts))
    return made


def peaks(W: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """In each column of W (m, l) the first entry of largest modulus."""
    parts = pieces(W.shape[0])
    highest = np.array(engine.map(lambda i: np.abs(W[parts[i]]).max(axis=0), len(parts)))
    piece = np.argmax(highest, axis=0)
    found = np.empty(W.shape[1], W.dtype)
    for column, i in enumerate(piece):
        entries = W[parts[i], column]
        found[column] = entries[np.argmax(np.abs(entries))]
    return found


def weighted(W: numpy.ndarray, weights: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """A C-ordered copy of W with its columns multiplied by the weights."""
    made = np.empty(W.shape, W.dtype)
    parts = pieces(W.shape[0])
    weights = weights.astype(W.dtype)
    engine.map(lambda i: np.multiply(W[parts[i]], weights, out=made[parts[i]]), len(parts))
    return made


def subtract_product(Z: numpy.ndarray, V: Columns | numpy.ndarray, H: numpy.ndarray, engine: Engine) -> None:
    """Z -= V H, in place."""
    parts = pieces(Z.shape[0])
    H = np.ascontiguousarray(H)
    blocks, columns = _parts(V)

    def one(i: int) -> None:
        for block, at in zip(blocks, columns, strict=True):
            Z[parts[i]] -= np.ascontiguousarray(block[parts[i]]) @ H[at]

    engine.map(one, len(parts))


def orthonormalize(W: numpy.ndarray, engine: Engine) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(Q, R) with W = Q R, Q^H Q = I to a few eps, R (l, l); for l <= m, whatever the rank of W.

    CholeskyQR repeated (Yamamoto et al. 2015), the first time with a shift when the Gram matrix is not numerically
    positive definite (Fukaya et al. 2020); columns are scaled to length 1 first, which removes the bad conditioning
    that comes from scaling alone. A W with (nearly) dependent columns goes to Householder QR, whose Q is
    orthonormal all the same. Cost: 4 m l^2 flops, 6 m l^2 shifted.
    """
    l = W.shape[1]
    if l == 0:
        return W, np.zeros((0, 0), W.dtype)
    wide = np.result_type(W.dtype, np.float64)
    eps = float(np.finfo(W.dtype).eps)
    R = np.eye(l, dtype=wide)
    Q = W
    for _ in range(4):
        G = gram(Q, engine)
        lengths = np.sqrt(G.diagonal().real)
        # a column that all but vanished under the shift is noise, and dividing by its length would spread it
        if not lengths.min() > (0 if Q is W else 1e-6) or not np.all(np.isfinite(lengths)):
            break
        G /= np.outer(lengths, lengths)
        try:
            S = np.linalg.cholesky(G).conj().T
            shifted = False
        except np.linalg.LinAlgError:
            S = np.linalg.cholesky(G + 11 * (W.shape[0] + l) * l * eps * np.eye(l)).conj().T
            shifted = True
        S = S * lengths
        T = np.linalg.inv(S)
        if not np.all(np.isfinite(T)):
            break
        diagonal = S.diagonal().real / lengths
        if diagonal.min() < (1e-4 if shifted or W.real.itemsize == 4 else 1e-7):
            # (nearly) dependent columns: R would carry the rounding of Q, divided by this
            break
        Q = times(Q, T, engine, out=None if Q is W else Q)
        R = S @ R
        # the next Gram matrix would be I to rounding: CholeskyQR of a block this well conditioned is exact
        if not shifted and diagonal.min() > 0.9 and np.abs(G - np.eye(l)).max() < 0.01:
            return Q, R.astype(W.dtype)
    Q, R = np.linalg.qr(W)
    return np.ascontiguousarray(Q), R


def _total(
    task: Callable[[int], numpy.ndarray], count: int, engine: Engine, shape: tuple[int, ...], dtype: numpy.dtype
) -> numpy.ndarray:
    total = tree_sum(task, count, engine)
    return np.zeros(shape, dtype) if total is None else total
