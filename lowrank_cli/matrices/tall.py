"""Tall blocks that are no arrays in memory: here in a scratch file; ``spread`` has those on workers of a cluster."""

from __future__ import annotations

import abc
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import ResourceError
from ..lazy import np
from ..memory import available_memory, require

if TYPE_CHECKING:
    import numpy

#: A block that would take more than this share of the memory there is goes to a scratch file.
SHARE = 8
#: Bytes of rows that are read at a time by who wants them all.
SPAN = 16 << 20


class Tall(abc.ABC):
    """An (m, l) block whose rows come when they are asked for: T[rows] is a new array, T[rows] = values keeps them.

    home: the workers that hold it; None when rows come to this process.
    """

    home: Any = None
    ndim = 2

    def __init__(self, shape: tuple[int, int], dtype: numpy.dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def spans(self) -> Iterator[slice]:
        """All rows, so many at a time as are well asked for together."""
        step = max(1, SPAN // max(1, self.shape[1] * self.dtype.itemsize))
        for start in range(0, self.shape[0], step):
            yield slice(start, min(start + step, self.shape[0]))

    @abc.abstractmethod
    def __getitem__(self, rows: slice) -> numpy.ndarray: ...

    @abc.abstractmethod
    def __setitem__(self, rows: slice, values: numpy.ndarray) -> None: ...

    def __array__(self, dtype: Any = None, copy: Any = None) -> numpy.ndarray:
        """All of it in memory. Raises ResourceError where it does not fit."""
        m, l = self.shape
        require(self.nbytes, f"a {m}x{l} block of {self.dtype}", "allow more memory, or lower the rank")
        return self[0:m].astype(dtype or self.dtype, copy=False)


class Scratch(Tall):
    """Rows in a file that has no name: it is gone with the last reference, whatever ends the process."""

    def __init__(self, shape: tuple[int, int], dtype: numpy.dtype):
        super().__init__(shape, dtype)
        self._file = tempfile.TemporaryFile(prefix="lowrank-", buffering=0)
        try:
            os.posix_fallocate(self._file.fileno(), 0, max(1, self.nbytes))
        except OSError as error:
            self._file.close()
            raise ResourceError(
                f"no room for a {shape[0]}x{shape[1]} block in {tempfile.gettempdir()} ({error.strerror})",
                hint="allow more memory, or let TMPDIR name a folder with room",
            ) from error

    def __getitem__(self, rows: slice) -> numpy.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        out = np.empty((max(0, stop - start), self.shape[1]), self.dtype)
        self._move(os.preadv, start, out)
        return out

    def __setitem__(self, rows: slice, values: numpy.ndarray) -> None:
        start, stop, _ = rows.indices(self.shape[0])
        whole = np.ascontiguousarray(np.broadcast_to(values, (stop - start, self.shape[1])), dtype=self.dtype)
        self._move(os.pwritev, start, whole)

    def _move(self, call: Any, first_row: int, array: numpy.ndarray) -> None:
        view = array.reshape(-1).view(np.uint8).data
        offset = first_row * self.shape[1] * self.dtype.itemsize
        done = 0
        while done < len(view):
            try:
                moved = call(self._file.fileno(), [view[done:]], offset + done)
            except OSError as error:
                raise ResourceError(f"a scratch file failed ({error.strerror})", hint="look at the disk") from error
            if not moved:
                raise ResourceError("a scratch file became shorter", hint="look at the disk")
            done += moved


class Read(Tall):
    """Rows of a matrix, as ``read(rows)`` brings them; nothing is kept."""

    def __init__(self, shape: tuple[int, int], dtype: numpy.dtype, read: Callable[[slice], numpy.ndarray]):
        super().__init__(shape, dtype)
        self._read = read

    def __getitem__(self, rows: slice) -> numpy.ndarray:
        return self._read(slice(*rows.indices(self.shape[0])[:2]))

    def __setitem__(self, rows: slice, values: numpy.ndarray) -> None:
        raise TypeError("the rows of a matrix are not written to")


def room(shape: tuple[int, int], dtype: numpy.dtype) -> Any:
    """An uninitialised block of that shape: an array, or a scratch file where memory is short. No bit depends on it."""
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    # asking the system costs more than small blocks do
    if size > 1 << 20 and size > available_memory() // SHARE:
        return Scratch(shape, dtype)
    return np.empty(shape, dtype)


def contiguous(W: Any) -> Any:
    """W with its rows together, as a ``Tall`` has them: itself where it is so."""
    return W if isinstance(W, Tall) else np.ascontiguousarray(W)
