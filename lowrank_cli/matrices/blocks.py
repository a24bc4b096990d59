"""Arithmetic of tall blocks: Gram matrices, products, orthonormal bases. Fixed row blocks, sums in a fixed tree.

The bits depend on neither the number of threads nor the engine, nor on where a block is: a C-ordered (m, l) array with
l much smaller than m, or a ``Tall`` in a scratch file or on the workers of a cluster.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine
from ..lazy import np
from ..sketches.gaussian import gaussian
from .grid import cuts, ranges, tree_sum
from .tall import Tall, room

if TYPE_CHECKING:
    import numpy

    from ..streams import Streams

    #: A NumPy array, or a Tall.
    Block = Any


#: Bytes of a part of a sum of which only a few are held at a time.
_LARGE = 4 << 20


def pieces(m: int) -> list[slice]:
    """The rows of a block's pieces: those of the tiles of a dense matrix of so many rows."""
    return ranges(cuts(m))


class Columns:
    """An (m, l) matrix kept as the C-ordered blocks of columns that it grew by: joining one copies nothing."""

    def __init__(self, m: int, dtype: numpy.dtype, blocks: Sequence[Block] = ()):
        self.blocks = tuple(blocks)
        self.dtype = np.dtype(dtype)
        self.shape = (m, sum(block.shape[1] for block in self.blocks))

    def joined(self, block: Block) -> Columns:
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


def parts_of(W: Columns | Block) -> tuple[tuple[Block, ...], list[slice]]:
    """The blocks of W, and which columns of W each of them is."""
    blocks = W.blocks if isinstance(W, Columns) else (W,)
    marks = [0, *itertools.accumulate(block.shape[1] for block in blocks)]
    return blocks, ranges(marks)


def total_of(
    task: Callable[[int], numpy.ndarray],
    over: Sequence[Block],
    engine: Engine,
    shape: tuple[int, ...],
    dtype: numpy.dtype,
) -> numpy.ndarray:
    """The sum of what task(i) makes, new each time, of piece i of the blocks it is ``over``."""
    count = len(pieces(over[0].shape[0])) if over else 0
    home = _home(over)
    large = math.prod(shape) * np.dtype(dtype).itemsize > _LARGE
    total = tree_sum(task, count, engine, large) if home is None else home.total(task)
    return np.zeros(shape, dtype) if total is None else total


def block_of(
    task: Callable[[int], numpy.ndarray],
    over: Sequence[Block],
    engine: Engine,
    columns: int,
    dtype: numpy.dtype,
    out: Block | None = None,
) -> Any:
    """The block whose piece i is task(i), where the blocks are that it is ``over``; in out, where that is given."""
    m = over[0].shape[0]
    home = _home(over)
    if home is not None:
        return home.made(task, columns, dtype, out)
    if out is None:
        out = (room if any(isinstance(block, Tall) for block in over) else np.empty)((m, columns), dtype)
    made, parts = out, pieces(m)

    def one(i: int) -> None:
        made[parts[i]] = task(i)

    engine.map(one, len(parts))
    return made


def _home(over: Sequence[Block]) -> Any:
    """The workers that hold pieces of these blocks; None for this process."""
    return next((block.home for block in over if isinstance(block, Tall) and block.home is not None), None)


def cross(V: Columns | Block, Z: Block, engine: Engine, wide: bool = False) -> numpy.ndarray:
    """V^H Z for V (m, l) and Z (m, b); wide: accumulated and returned in double precision."""
    parts = pieces(V.shape[0])
    dtype = np.result_type(V.dtype, Z.dtype, np.float64) if wide else np.result_type(V.dtype, Z.dtype)
    blocks, columns = parts_of(V)
    shape = V.shape[1], Z.shape[1]
    if not blocks:
        return np.zeros(shape, dtype)

    def one(i: int) -> numpy.ndarray:
        # a C-ordered copy of every piece that is not: BLAS paths for small products depend on strides
        right = np.ascontiguousarray(Z[parts[i]], dtype=dtype)
        product = np.empty(shape, dtype)
        for block, at in zip(blocks, columns, strict=True):
            np.matmul(np.ascontiguousarray(block[parts[i]], dtype=dtype).conj().T, right, out=product[at])
        return product

    return total_of(one, (*blocks, Z), engine, shape, dtype)


def gram(W: Block, engine: Engine) -> numpy.ndarray:
    """W^H W, accumulated and returned in double precision."""
    parts = pieces(W.shape[0])
    wide = np.result_type(W.dtype, np.float64)

    def one(i: int) -> numpy.ndarray:
        piece = np.ascontiguousarray(W[parts[i]], dtype=wide)
        return piece.conj().T @ piece

    G = total_of(one, (W,), engine, (W.shape[1], W.shape[1]), wide)
    return 0.5 * (G + G.conj().T)


def lengths(Z: Block, engine: Engine) -> numpy.ndarray:
    """Lengths of the columns of Z, in double precision."""
    parts = pieces(Z.shape[0])
    count = Z.shape[1] * (2 if Z.dtype.kind == "c" else 1)

    def one(i: int) -> numpy.ndarray:
        piece = np.ascontiguousarray(Z[parts[i]])
        real = piece.view(piece.real.dtype).reshape(len(piece), count).astype(np.float64)
        return np.square(real, out=real).sum(axis=0)

    squares = total_of(one, (Z,), engine, (count,), np.dtype(np.float64))
    return np.sqrt(squares if count == Z.shape[1] else squares[0::2] + squares[1::2])


def times(
    W: Columns | Block,
    T: numpy.ndarray,
    engine: Engine,
    dtype: numpy.dtype | None = None,
    out: Block | None = None,
) -> Any:
    """W T for W (m, l) and a small T (l, k), computed in the dtype of W. dtype: what the result is kept in. out: where
    it is kept; W itself will do."""
    T = np.ascontiguousarray(T, dtype=W.dtype)
    parts = pieces(W.shape[0])
    blocks, columns = parts_of(W)

    def one(i: int) -> numpy.ndarray:
        total = None
        for block, at in zip(blocks, columns, strict=True):
            product = np.ascontiguousarray(block[parts[i]]) @ T[at]
            total = product if total is None else np.add(total, product, out=total)
        assert total is not None
        return total

    if not blocks:
        return np.zeros((W.shape[0], T.shape[1]), dtype or W.dtype)
    return block_of(one, blocks, engine, T.shape[1], dtype or W.dtype, out)


def peaks(W: Block, engine: Engine) -> numpy.ndarray:
    """In each column of W (m, l) the first entry of largest modulus."""
    parts = pieces(W.shape[0])

    def one(i: int) -> numpy.ndarray:
        piece = W[parts[i]]
        return piece[np.argmax(np.abs(piece), axis=0), np.arange(piece.shape[1])]

    found = np.array(each_piece(one, (W,), engine))
    return found[np.argmax(np.abs(found), axis=0), np.arange(W.shape[1])]


def weighted(W: Block, weights: numpy.ndarray, engine: Engine) -> Any:
    """A C-ordered copy of W with its columns multiplied by the weights."""
    parts = pieces(W.shape[0])
    weights = weights.astype(W.dtype)
    return block_of(lambda i: W[parts[i]] * weights, (W,), engine, W.shape[1], W.dtype)


def adjoint_of(W: Block, weights: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """(W diag(weights))^H, a C-ordered array in memory."""
    if isinstance(W, Tall):
        return np.ascontiguousarray(np.asarray(weighted(W, weights, engine)).conj().T)
    parts = pieces(W.shape[0])
    weights = weights.astype(W.dtype)
    made = np.empty((W.shape[1], W.shape[0]), W.dtype)

    def one(i: int) -> None:
        made[:, parts[i]] = (W[parts[i]] * weights).conj().T

    engine.map(one, len(parts))
    return made


def subtract_product(Z: Block, V: Columns | Block, H: numpy.ndarray, engine: Engine) -> None:
    """Z -= V H, in place."""
    parts = pieces(Z.shape[0])
    H = np.ascontiguousarray(H)
    blocks, columns = parts_of(V)

    def one(i: int) -> numpy.ndarray:
        piece = Z[parts[i]]
        for block, at in zip(blocks, columns, strict=True):
            piece -= np.ascontiguousarray(block[parts[i]]) @ H[at]
        return piece

    if blocks:
        block_of(one, (Z, *blocks), engine, Z.shape[1], Z.dtype, out=Z)


def combined(terms: Sequence[tuple[float, Block]], engine: Engine) -> Any:
    """A new block, the sum of factor * block, added in order."""
    first = terms[0][1]
    parts = pieces(first.shape[0])
    real = np.zeros(1, first.dtype).real.dtype.type

    def one(i: int) -> numpy.ndarray:
        total = None
        for factor, block in terms:
            part = real(factor) * block[parts[i]]
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        return total

    return block_of(one, [block for _, block in terms], engine, first.shape[1], first.dtype)


def beside(blocks: Sequence[Block], engine: Engine) -> Any:
    """The columns of all the blocks in one."""
    if not any(isinstance(block, Tall) for block in blocks):
        return np.hstack(blocks)
    parts = pieces(blocks[0].shape[0])
    width = sum(block.shape[1] for block in blocks)
    return block_of(lambda i: np.hstack([b[parts[i]] for b in blocks]), blocks, engine, width, blocks[0].dtype)


def columns_of(W: Block, start: int, stop: int, engine: Engine) -> Any:
    """W[:, start:stop]; of an array, a view."""
    if not isinstance(W, Tall):
        return W[:, start:stop]
    if (start, stop) == (0, W.shape[1]):
        return W
    parts = pieces(W.shape[0])
    return block_of(lambda i: W[parts[i]][:, start:stop], (W,), engine, stop - start, W.dtype)


def cast(W: Block, dtype: numpy.dtype, engine: Engine) -> Any:
    """W in that dtype: itself where it has it."""
    if W.dtype == dtype:
        return W
    parts = pieces(W.shape[0])
    return block_of(lambda i: W[parts[i]].astype(dtype), (W,), engine, W.shape[1], dtype)


def drawn(streams: Streams, purpose: str, m: int, l: int, dtype: numpy.dtype, engine: Engine, home: Any) -> Any:
    """The Gaussian block of that purpose, kept by the workers of home, if that is not None."""
    if home is not None:
        return home.drawn(streams, purpose, l, dtype)
    return gaussian(streams, purpose, m, l, dtype, engine, room((m, l), dtype))


def each_piece(task: Callable[[int], Any], over: Sequence[Block], engine: Engine) -> list[Any]:
    """task(i) for every piece of the blocks it is ``over``."""
    home = _home(over)
    return engine.map(task, len(pieces(over[0].shape[0]))) if home is None else home.each(task)
