"""Matrix Market files (.mtx, .mm, also .gz), read strictly.

Every byte is checked against the grammar of mtx_grammar before SciPy's fast reader sees it: alone, that reader takes
1.5D+3 for 1.5, 1,5 for 1 and 1e400 for infinity, and says nothing. Its numbers are correctly rounded, so a value here
is Python's float() of its token, to the last bit.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import InputError
from ..lazy import np
from .loaded import Format, Item, Loaded
from .mtx_entries import Entries, read_exact, read_fast
from .mtx_header import DTYPES, Header, check_memory, check_promise, read_header
from .mtx_lines import BOM, GZIP, Lines
from .sources import Reader

if TYPE_CHECKING:
    import numpy

    from .sparse_writer import SparseRows

#: No deflate stream expands more than this.
_EXPANSION = 1032
_SUFFIXES = (".mtx", ".mm", ".mtx.gz", ".mm.gz")


def matches(head: bytes, name: str) -> bool:
    """Whether the first bytes (through gzip) are a banner, or the name says so and no other format's mark is there."""
    if head.startswith(GZIP):
        with contextlib.suppress(zlib.error):
            if _is_banner(zlib.decompressobj(wbits=31).decompress(head, 64)):
                return True
    return _is_banner(head) or (name.lower().endswith(_SUFFIXES) and not head.startswith((b"\x93NUMPY", b"\x89HDF")))


def _is_banner(head: bytes) -> bool:
    return head.removeprefix(BOM)[:14].lower() == b"%%matrixmarket"


def items(path: str) -> list[Item]:
    """The one matrix, from its header alone; nnz is the number of stored entries, before symmetry is expanded."""
    with opened(path) as file:
        header = read_header(Lines(file, path))
    return [_item(header, None if header.layout == "array" else header.stored)]


def load(path: str, item: str | None = None) -> Loaded:
    """Read the matrix. Raises InputError (with the line), ResourceError. Cost: one pass over the file."""
    refuse_item(item, path)
    with opened(path) as file:
        return load_stream(file, path)


def refuse_item(item: str | None, where: str) -> None:
    if item is not None:
        raise InputError(f"a Matrix Market file holds one matrix and no item {item!r}", where=where)


def _from_source(source: Any, where: str, item: str | None) -> Loaded:
    refuse_item(item, where)
    return load_stream(io.BufferedReader(Reader(source), 2**20), where)


def _source_items(source: Any, where: str) -> list[Item]:
    return [_from_source(source, where, None).item]


def load_stream(fileobj: BinaryIO, name: str) -> Loaded:
    """Read the matrix from a binary stream, plain or gzip, up to its end; name stands in messages."""
    start = fileobj.tell() if fileobj.seekable() else None
    lines = Lines(fileobj, name)
    header = read_header(lines)
    check_promise(header, most_text(fileobj, lines), name)
    check_memory(header, name, start is not None)
    # an array without values crashes SciPy's reader
    entries = read_fast(header, lines) if start is not None and header.stored else None
    if entries is None:
        if start is not None:
            # the fast way does not know what is wrong
            fileobj.seek(start)
            lines = Lines(fileobj, name)
            header = read_header(lines)
        entries = read_exact(header, lines)
    build = _dense if header.layout == "array" else _sparse
    array, nnz, notes = build(header, entries, name)
    return Loaded(array, name, "mtx", _item(header, nnz), (*entries.notes(header), *notes))


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    try:
        file = open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", where=path) from error
    with file:
        yield file


def _file_size(fileobj: BinaryIO) -> int | None:
    """Length of a regular file; None for pipes and devices, and files of /proc, which say 0."""
    try:
        status = os.fstat(fileobj.fileno())
    except (OSError, AttributeError):
        return None
    return (status.st_size or None) if stat.S_ISREG(status.st_mode) else None


def most_text(fileobj: BinaryIO, lines: Lines) -> int | None:
    """Bytes of text that the file can hold; None when that is not known."""
    size = _file_size(fileobj)
    return size if size is None or not lines.gzipped else _EXPANSION * size


def _item(header: Header, nnz: int | None) -> Item:
    size = header.memory(header.stored if nnz is None else nnz, DTYPES[header.field][1])
    detail = header.detail if header.layout == "array" else f"{header.detail}, {header.stored} stored"
    return Item(None, (header.rows, header.cols), header.dtype, nnz, size, detail)


def _dense(header: Header, entries: Entries, where: str) -> tuple[numpy.ndarray, None, tuple[str, ...]]:
    """The matrix in Fortran order, as the file has it: column by column."""
    n, values = header.rows, entries.values
    if header.symmetry == "general":
        return values.reshape((n, header.cols), order="F"), None, ()
    out = np.zeros((n, n), values.dtype, order="F")
    at, skew = 0, int(header.symmetry == "skew-symmetric")
    for j in range(n - skew):
        column = values[at : at + n - j - skew]
        out[j, j + skew :] = mirrored(header, column)
        out[j + skew :, j] = column
        at += column.size
    return out, None, ()


def mirrored(header: Header, values: numpy.ndarray) -> numpy.ndarray:
    if header.symmetry == "skew-symmetric":
        return -values
    return values.conj() if header.symmetry == "hermitian" else values


def _sparse(header: Header, entries: Entries, where: str) -> tuple[Any, int, tuple[str, ...]]:
    """The matrix as canonical CSR, with the mirrored triangle; entries given twice are summed."""
    import scipy.sparse

    rows, cols, values = entries.rows, entries.cols, entries.values
    assert rows is not None and cols is not None  # coordinate layout
    if header.symmetry != "general":
        off = rows != cols
        rows, cols = np.concatenate([rows, cols[off]]), np.concatenate([cols, rows[off]])
        values = np.concatenate([values, mirrored(header, values[off])])
    matrix = scipy.sparse.csr_array(scipy.sparse.coo_array((values, (rows, cols)), shape=(header.rows, header.cols)))
    matrix.sum_duplicates()
    repeats = values.size - matrix.nnz
    check_sums(matrix, repeats, where)
    return matrix, matrix.nnz, (summed(repeats),) if repeats else ()


def check_sums(matrix: Any, repeats: int, where: str) -> None:
    """InputError where the sum of repeated entries is too large."""
    if repeats and not np.isfinite(matrix.data).all():
        raise InputError("repeated entries sum to more than the largest float64, 1.8e308", where=where)


def summed(repeats: int) -> str:
    """What is said of entries at the position of another one."""
    verb = "entry repeats" if repeats == 1 else "entries repeat"
    return f"{repeats} {verb} the position of another one; they were summed"


def _rows(path: str, item: str | None, most: int, target: str) -> SparseRows | None:
    from .mtx_sorted import rows

    return rows(path, item, most, target)


FORMAT = Format("mtx", _SUFFIXES, matches, items, load, _from_source, _source_items, rows=_rows)
