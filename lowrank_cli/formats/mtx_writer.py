"""Matrix Market: a sparse matrix as coordinates by rows, a dense one as an array by columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lazy import np
from .matrix_file import MatrixFile
from .text_writer import PIECE, words

if TYPE_CHECKING:
    import numpy


def encode(array: Any) -> list[bytes]:
    """The file as chunks; a stored zero stays an entry. Raises UsageError for NaN and infinity."""
    if hasattr(array, "indptr"):
        rows = np.repeat(np.arange(1, array.shape[0] + 1), np.diff(array.indptr))
        sizes, layout, values = (*array.shape, array.nnz), "coordinate", array.data
        places = (rows, array.indices.astype(np.int64) + 1)
    else:
        table = np.asarray(array).reshape(array.shape[0], -1)
        sizes, layout, values, places = table.shape, "array", table.reshape(-1, order="F"), ()
    field = "complex" if values.dtype.kind == "c" else "real" if values.dtype.kind == "f" else "integer"
    head = f"%%MatrixMarket matrix {layout} {field} general\n{' '.join(map(str, sizes))}\n"
    return [head.encode("ascii"), *_entries(places, values)]


def _entries(places: tuple[numpy.ndarray, ...], values: numpy.ndarray) -> list[bytes]:
    parts = (values.real, values.imag) if values.dtype.kind == "c" else (values,)
    chunks = []
    for start in range(0, values.size, PIECE):
        columns = [words(part[start : start + PIECE]) for part in (*places, *parts)]
        chunks.append("".join([" ".join(entry) + "\n" for entry in zip(*columns, strict=True)]).encode("ascii"))
    return chunks


FILE = MatrixFile("Matrix Market", encode, sparse=True, packed=True)
