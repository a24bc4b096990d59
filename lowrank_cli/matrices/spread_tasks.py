"""What is sent to the workers of a cluster, and what they run.

Tasks are functions of this library, pickled by value together with what they close over; a tall block in them goes as a
name, and the worker finds the rows of its shard under it. No other file of ours pickles.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import SerialEngine
from ..lazy import np
from .grid import tree_sum

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True)
class Shard:
    """Consecutive pieces of rows: a node of the tree, the last perhaps incomplete."""

    pieces: range
    rows: slice


class Held:
    """On a worker: the rows of a block that its shard has, asked for as if all were there."""

    def __init__(self, shape: tuple[int, int], first: int, array: numpy.ndarray):
        self.shape, self._first = shape, first
        self.dtype, self.ndim = array.dtype, 2
        self._array = placed(array)

    def __getitem__(self, rows: slice) -> numpy.ndarray:
        return self._array[rows.start - self._first : rows.stop - self._first]


def placed(array: numpy.ndarray) -> numpy.ndarray:
    """The array where it may be multiplied and written to: what comes over the network lies anywhere in memory, and
    NumPy multiplies misaligned arrays in a loop of its own, which rounds differently."""
    return array if array.flags.aligned and array.flags.writeable else array.copy()


def packed(task: Any, stays: type[Any]) -> tuple[bytes, list[Any]]:
    """A task as bytes, and the blocks of a type that stays with the workers, which it closes over."""
    import cloudpickle

    blocks: list[Any] = []

    class Pickler(cloudpickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, stays):
                return None
            known = next((i for i, block in enumerate(blocks) if block is thing), len(blocks))
            if known == len(blocks):
                blocks.append(thing)
            return known, thing.shape

    out = io.BytesIO()
    Pickler(out).dump(task)
    return out.getvalue(), blocks


def unpacked(text: bytes, held: Sequence[numpy.ndarray], shard: Shard) -> Any:
    """The task, with the rows of the shard in place of the blocks that stayed."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, name: Any) -> Held:
            number, shape = name
            return Held(shape, shard.rows.start, held[number])

    return Unpickler(io.BytesIO(text)).load()


def folded(fold: Callable[[list[Any]], list[Any]], *parts: list[Any]) -> list[Any]:
    """What a visit of several shards made, as one."""
    return fold([one for part in parts for one in part])


# What workers run: work(task as bytes, rows of its blocks, shard, ...)


def once(text: bytes, held: Sequence[numpy.ndarray], shard: Shard, *known: Any) -> Any:
    """task(shard), with what is known of the shard."""
    return unpacked(text, held, shard)(shard, *known)


def each(text: bytes, held: Sequence[numpy.ndarray], shard: Shard) -> list[Any]:
    """task(i) for every piece of the shard."""
    task = unpacked(text, held, shard)
    return [task(i) for i in shard.pieces]


def total(text: bytes, held: Sequence[numpy.ndarray], shard: Shard) -> Any:
    """The sum of task(i) over the pieces of the shard, in the tree."""
    task = unpacked(text, held, shard)
    return tree_sum(lambda i: task(shard.pieces[i]), len(shard.pieces), SerialEngine())


def made(text: bytes, held: Sequence[numpy.ndarray], shard: Shard, columns: int, dtype: str) -> numpy.ndarray:
    """The rows of the shard, those of piece i made by task(i)."""
    task = unpacked(text, held, shard)
    made = np.empty((shard.rows.stop - shard.rows.start, columns), np.dtype(dtype))
    at = 0
    for i in shard.pieces:
        part = task(i)
        made[at : at + len(part)] = part
        at += len(part)
    return made
