"""A way to write one matrix, or one array of a factorization, to a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from .npy_writer import STORED

#: What the matrix is called in a file that wants a name.
NAME = "A"
#: Types that text can hold: no halves of a complex number, which no table has a place for.
REAL = tuple(kind for kind in STORED if not kind.startswith("<c"))


@dataclasses.dataclass(frozen=True)
class MatrixFile:
    """One row of the table of matrix files, loaded.

    encode(array) -> chunks of bytes, the same for the same values; array: a dense one, little-endian, of one or two
    dimensions, or, where ``sparse``, also a canonical SciPy csr_array. types: of items, those that it can hold.
    packed: whether NAME.gz is written too.
    """

    name: str
    encode: Callable[[Any], list[Any]]
    types: tuple[str, ...] = STORED
    sparse: bool = False
    packed: bool = False
