"""The bytes of a .npy file, version 1.0: the same for the same array whatever made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..matrices.tall import Tall

if TYPE_CHECKING:
    pass

MAGIC = b"\x93NUMPY\x01\x00"

#: Item types written and read back: numbers in little-endian byte order, and bool.
STORED = (
    *("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"),
    *("<f2", "<f4", "<f8", "<c8", "<c16"),
)


def stored(array: Any) -> Any:
    """The array in C order and little-endian byte order; itself where it is so already.

    Raises TypeError for an item type that is not a plain number.
    """
    array = array if isinstance(array, Tall) else np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in STORED:
        raise TypeError(f"arrays of {array.dtype} are not written")
    if isinstance(array, Tall) and array.dtype == dtype:
        return array
    return array if array.flags.c_contiguous and array.dtype == dtype else array.astype(dtype, order="C")


def raw(array: Any) -> Any:
    """The bytes of a C-ordered array, without a copy: a chunk for ``views``."""
    if isinstance(array, Tall):
        return array
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def views(chunks: Iterable[Any]) -> Iterator[memoryview]:
    """The bytes of chunks in turn; those of a ``Tall`` a few rows at a time."""
    for chunk in chunks:
        if isinstance(chunk, Tall):
            for rows in chunk.spans():
                yield raw(np.ascontiguousarray(chunk[rows]))
        else:
            yield memoryview(chunk).cast("B") if memoryview(chunk).nbytes else memoryview(b"")


def size_of(chunks: Iterable[Any]) -> int:
    return sum(chunk.nbytes if isinstance(chunk, Tall) else memoryview(chunk).nbytes for chunk in chunks)


def header(descr: str, shape: tuple[int, ...], fortran_order: bool = False) -> bytes:
    """Magic, version and header; the data begin at a multiple of 64 bytes."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran_order}, 'shape': {tuple(map(int, shape))!r}, }}"
    padding = -(len(MAGIC) + 2 + len(text) + 1) % 64
    body = text.encode("ascii") + b" " * padding + b"\n"
    return MAGIC + len(body).to_bytes(2, "little") + body


def npy_chunks(array: Any, keep_order: bool = False) -> list[Any]:
    """Header and data of the array, without a copy where its layout allows.

    With keep_order an array that lies in Fortran order is written so; else every array is written in C order, so
    that equal values give equal bytes.
    """
    if isinstance(array, Tall):
        return [header(stored(array).dtype.str, array.shape), array]
    array = np.asarray(array)
    fortran = keep_order and array.flags.f_contiguous and not array.flags.c_contiguous
    plain = stored(array.T if fortran else array)
    return [header(plain.dtype.str, array.shape, fortran), raw(plain)]
