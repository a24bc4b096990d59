"""What is done to a tile: products summed in order, its layout, its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lazy import np

if TYPE_CHECKING:
    import numpy


def sum_products(total: numpy.ndarray, pairs: Any, first: bool = True) -> None:
    """total = sum of left @ right over the pairs, added in order; not first: total += that sum."""
    scratch = None
    for number, (left, right) in enumerate(pairs):
        if number == 0 and first:
            np.matmul(left, right, out=total)
            continue
        if scratch is None:
            scratch = np.empty_like(total)
        np.matmul(left, right, out=scratch)
        np.add(total, scratch, out=total)


def row_contiguous(tile: numpy.ndarray) -> numpy.ndarray:
    """The tile with its rows contiguous: itself when it is so, else a C-ordered copy."""
    return tile if tile.strides[1] == tile.itemsize else np.ascontiguousarray(tile)


def scale_exactly(array: numpy.ndarray, exponent: int) -> numpy.ndarray:
    """array * 2**exponent, exact but for underflow; works where 2**exponent itself would overflow."""
    if exponent == 0:
        return array
    if np.iscomplexobj(array):
        parts = np.ascontiguousarray(array).view(array.real.dtype)
        return np.ldexp(parts, exponent).view(array.dtype)
    return np.ldexp(array, exponent)
