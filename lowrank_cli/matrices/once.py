"""A matrix that is seen once: its lines pass by in order, and nothing else can be asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import UsageError
from .digest import RowDigest
from .forwards import Forwards, blocks
from .watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine


class Once:
    """A dense matrix whose lines can be read one time. rows: how many it has, None until the last one has come.

    stored: the dtype it is stored in, for its digest. name: what messages call it. What takes a second look, or one at
    a place of its own, is refused.
    """

    nnz: int | None = None

    def __init__(self, lines: Forwards, stored: str, engine: Engine, name: str | None = None, watch: Watch = UNWATCHED):
        self.lines, self.engine, self.name, self.watch = lines, engine, name, watch
        self.dtype = lines.dtype
        self.rows = lines.count if lines.by_rows else lines.length
        known = lines.by_rows and self.rows is not None
        self._checks = RowDigest((int(self.rows or 0), lines.length), stored, engine) if known else None
        self._seen = False

    @property
    def shape(self) -> tuple[Any, int]:
        return self.rows, self.lines.length if self.lines.by_rows else int(self.lines.count or 0)

    def passing(self, most: int) -> Iterator[tuple[int, numpy.ndarray]]:
        """The pass: (number of its first line, block of lines), ``most`` at a time, in order."""
        if self._seen:
            self._refuse()
        self._seen = True
        width = self.lines.length * self.dtype.itemsize
        self.watch.reads((self.lines.count or 0) * width)
        last = 0
        for first, block in blocks(self.lines, most):
            if self._checks is not None:
                self._checks.add(block)
            yield first, block
            last = first + len(block)
            self.watch.came(len(block) * width)
        if self.rows is None:
            self.rows = last

    @property
    def digest(self) -> str | None:
        """The digest of what passed by; None where it came by columns, as a digest goes by rows, or without a number of
        rows, which decides its tiles."""
        return None if self._checks is None else self._checks.digest()

    def __getattr__(self, name: str) -> Any:
        # products, tiles, rows, columns: whatever a matrix can and this one cannot
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            "the matrix is seen once, and more is asked of it than one pass gives",
            where=self.name,
            hint="keep a stream in a folder with --spool DIR",
        )
