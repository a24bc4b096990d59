"""A way to keep factors in one file, or in one folder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..lazy import np
from .npy_writer import STORED

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True)
class ArrayInfo:
    """What the header of a stored array says."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape) * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


@dataclasses.dataclass(frozen=True)
class Container:
    """One row of the table of writers, loaded. Arrays are flat: a sparse one is its four parts.

    encode(meta, arrays) -> chunks of bytes, the same for the same content; of a folder, such chunks by file name.
    decode(path) -> (meta, arrays), arrays in native byte order, neither checked against their digests; headers(path) ->
    (meta, ArrayInfo by name) without reading values; holds(path): whether the file claims to hold factors;
    matches(head) looks at the first bytes, which are None of a folder. suffix: what names end in; of folders a slash;
    types: of items, those that it can hold. Reading raises InputError for whatever is wrong with the file.
    """

    name: str
    suffix: str
    matches: Callable[[bytes | None], bool]
    encode: Callable[[dict[str, Any], dict[str, numpy.ndarray]], list[Any] | dict[str, list[Any]]]
    decode: Callable[[str], tuple[Any, dict[str, numpy.ndarray]]]
    headers: Callable[[str], tuple[Any, dict[str, ArrayInfo]]]
    holds: Callable[[str], bool]
    types: tuple[str, ...] = STORED
