"""The first look at a dense matrix that is sketched on the way: what a sweep finds, and S A, from one read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..kernels.sweep import signed_rows
from ..lazy import np
from ..sketches.counting import SUMS, CountSketch
from .facts import looking
from .grid import TreeSum
from .tiles import row_contiguous

if TYPE_CHECKING:
    import numpy

    from .dense import TiledMatrix
    from .slabs import Slab


class Surveyed:
    """The facts of A and S A, S of its rows; transposed: the facts of A^T and S A^T, S of its columns. In double
    precision, each sum in the tree of the tiles it goes over. ``conclude`` makes facts of what was seen."""

    strips: int | None = None

    def __init__(
        self,
        matrix: TiledMatrix,
        sketch: CountSketch,
        transposed: bool,
        conclude: Callable[[list[Any]], Any] | None = None,
    ):
        self.matrix, self.sketch, self.transposed = matrix, sketch, transposed
        self.look, facts = looking(matrix, transposed, True)
        self.conclude = conclude or facts
        self._kept = matrix.row_blocks if transposed else matrix.col_blocks
        self._across = matrix.col_blocks if transposed else matrix.row_blocks
        self.found: list[Any] = [None] * (len(self._kept) * len(self._across))
        self.dtype = np.result_type(matrix.dtype, np.float64)
        self.out = np.empty((SUMS, matrix.shape[0 if transposed else 1]), self.dtype)
        self.sums = [TreeSum() for _ in self._kept]
        self.what = f"survey of {'columns' if transposed else 'rows'}"
        self.operands: Sequence[Any] = (sketch.signs, sketch.places)
        self.state = {"found": self.found, "out": self.out, "sums": [tree.state for tree in self.sums]}

    def take(self, slab: Slab) -> None:
        matrix, width = self.matrix, len(self.matrix.col_blocks)
        over = slab.col_blocks if self.transposed else slab.row_blocks
        sketch = [self.sketch.part(self._across[a]) for a in over]
        signed = [signed_rows(part.signs, part.places) for part in sketch]

        def one(k: int) -> None:
            for a in over:
                i, j = (k, a) if self.transposed else (a, k)
                rows, cols = matrix.row_blocks[i], matrix.col_blocks[j]
                part = np.zeros((SUMS, self._kept[k].stop - self._kept[k].start), self.dtype)
                tile = row_contiguous(matrix.tile(slab, rows, cols))
                self.found[i * width + j] = self.look(i, rows, cols, tile, (signed[a - over.start], part))
                self.sums[k].add(part)
            if over.stop == len(self._across):
                self.out[:, self._kept[k]] = self.sums[k].total()

        matrix.each(slab, 0 if self.transposed else 1, one)

    def result(self) -> tuple[Any, numpy.ndarray]:
        return self.conclude(self.found), self.out
