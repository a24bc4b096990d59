"""What singular values take of memory, whichever way they are going to be found: known before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..lazy import np
from ..matrices import triangle
from . import needs
from .spectrum import DEFAULT_COUNT, FULL_SHARE, LAPACK_ENTRIES, MOST_BLOCKS, block_for, check_count
from .svd import SVDOptions, wants_lapack

if TYPE_CHECKING:
    from ..matrices.protocols import Matrix


def needs_of(matrix: Matrix, k: int | None, everything: bool, have: int) -> dict[str, int]:
    """Bytes of memory by component that ``spectrum_of`` takes at most of ``have``, but for a basis that is never given
    up and grows beyond a few blocks. Raises as it does for what makes no sense."""
    (m, n), seen = matrix.shape, cast(Any, matrix)
    check_count(k, everything, m, n)
    k, p = k or min(DEFAULT_COUNT, m, n), min(m, n)
    buffers, wide = {"read buffers": needs.read_buffers(matrix)}, np.result_type(matrix.dtype, np.float64).itemsize
    lapack = buffers | {"LAPACK": _lapack(m, n, wide)}
    if everything or wants_lapack(seen, k, SVDOptions()):
        return lapack
    b, most = block_for(k, p), int(FULL_SHARE * p)
    ways = [needs.spectrum(matrix, k, b, have)]
    if m * n <= LAPACK_ENTRIES and MOST_BLOCKS * b > most:
        # whoever begins with a basis must be able to give it up for LAPACK
        ways.append(lapack)
        if not triangle.pays(m, n):
            # and to let it grow until then: V and as much again; the Gram matrix, which is copied as it grows and to
            # find its eigenvalues; and W
            narrow = most * matrix.dtype.itemsize
            grown = {"basis": 2 * p * narrow, "Gram matrix": 5 * most * most * wide, "tall blocks": max(m, n) * narrow}
            ways.append(buffers | grown)
    return max(ways, key=lambda parts: sum(parts.values()))


def _lapack(m: int, n: int, itemsize: int) -> int:
    """Of values alone LAPACK makes one copy."""
    return triangle.needs(min(m, n), itemsize) if triangle.pays(m, n) else (2 * m * n + min(m, n) ** 2) * itemsize
