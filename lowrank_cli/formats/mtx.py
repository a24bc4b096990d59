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
from .mtx_grammar import check_line, count_entries, refuse, shown
from .mtx_header import DTYPES, Header, check_size, read_header
from .mtx_lines import BOM, GZIP, Lines

if TYPE_CHECKING:
    import numpy

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
    with _opened(path) as file:
        header = read_header(Lines(file, path))
    return [_item(header, None if header.layout == "array" else header.stored)]


def load(path: str, item: str | None = None) -> Loaded:
    """Read the matrix. Raises InputError (with the line), ResourceError. Cost: one pass over the file."""
    if item is not None:
        raise InputError(f"a Matrix Market file holds one matrix and no item {item!r}", where=path)
    with _opened(path) as file:
        return load_stream(file, path)


def load_stream(fileobj: BinaryIO, name: str) -> Loaded:
    """Read the matrix from a binary stream, plain or gzip, up to its end; name stands in messages."""
    lines = Lines(fileobj, name)
    header = read_header(lines)
    size = _file_size(fileobj)
    check_size(header, size if size is None or not lines.gzipped else _EXPANSION * size, name)
    reader = _Reader(header, lines)
    reader.read()
    build = _dense if header.layout == "array" else _sparse
    array, nnz = build(header, reader, name)
    return Loaded(array, name, "mtx", _item(header, nnz), tuple(reader.notes))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
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


def _item(header: Header, nnz: int | None) -> Item:
    size = header.memory(header.stored if nnz is None else nnz, DTYPES[header.field][1])
    detail = header.detail if header.layout == "array" else f"{header.detail}, {header.stored} stored"
    return Item(None, (header.rows, header.cols), header.dtype, nnz, size, detail)


class _Reader:
    """Entries of one file, in file order: rows and cols (0-based, coordinate layout only), values (not for pattern)."""

    def __init__(self, header: Header, lines: Lines):
        self.header = header
        self.lines = lines
        self.where = lines.where
        self.notes: list[str] = []
        self.underflows = 0
        self.inexact = 0
        self.lower = self.upper = False
        self._done = 0
        index = np.int32 if max(header.rows, header.cols) < 2**31 else np.int64
        coordinate = header.layout == "coordinate"
        # memory that is never written is never taken: a false promise of the size line costs nothing
        self.rows = np.empty(header.stored, index) if coordinate else None
        self.cols = np.empty(header.stored, index) if coordinate else None
        self.values = np.empty(header.stored, np.complex128 if header.field == "complex" else np.float64)

    def read(self) -> None:
        """Read to the end of the file. Raises InputError for the first entry that is wrong."""
        header = self.header
        for text, first in self.lines.chunks(header.stored):
            count = count_entries(text, header.kinds)
            if count is None:
                self._blame(text, first)
            if self._done + count > header.stored:
                line = _line_of(text, first, header.stored - self._done)
                refuse(self.where, line, f"more than the {header.stored} entries that the size line promises")
            if count:
                self._take(text, first, count)
        if self._done < header.stored:
            refuse(
                self.where,
                self.lines.number,
                f"the file ends after {self._done} of the {header.stored} entries that the size line promises",
                "it is truncated, or its size line is wrong",
            )
        self._note()

    def _take(self, text: bytes, first: int, count: int) -> None:
        part = slice(self._done, self._done + count)
        try:
            parsed = _parse(text, self.header, count)
        except (ValueError, OverflowError):
            self._blame(text, first)
        if self.header.layout == "coordinate":
            self.rows[part], self.cols[part] = parsed.row, parsed.col
            self.values[part] = parsed.data
        else:
            self.values[part] = parsed[:, 0]
        values = self.values[part]
        if not np.isfinite(values).all():
            self._blame(text, first)
        self._count_lost(text, values)
        if self.header.symmetry != "general":
            self._check_symmetry(text, first, part)
        self._done += count

    def _blame(self, text: bytes, first: int) -> None:
        """Raise InputError for the first line that is not in the grammar, out of range or not finite."""
        header = self.header
        for number, raw in enumerate(text.splitlines(), first):
            tokens = check_line(raw, header.kinds, self.where, number)
            limits = (("row", header.rows), ("column", header.cols)) if header.layout == "coordinate" else ()
            for token, (name, limit) in zip(tokens, limits, strict=False):
                digits = token.lstrip(b"0")
                if not digits or len(digits) > 19 or int(digits) > limit:
                    hint = None if digits else "indices count from 1; is this file 0-based?"
                    refuse(self.where, number, f"{name} index {shown(token)} is not from 1 to {limit}", hint)
            for token in tokens[len(limits) :]:
                if abs(float(_point(token))) == float("inf"):
                    refuse(self.where, number, f"value {shown(token)} is beyond the largest float64, 1.8e308")
        raise InputError(f"lines {first} and on cannot be parsed", where=self.where)

    def _count_lost(self, text: bytes, values: numpy.ndarray) -> None:
        """Count what float64 cannot hold: values that became 0, and integers that were rounded."""
        parts = values.view(np.float64).reshape(values.size, -1)
        columns = parts.shape[1]
        if self.header.field == "integer":
            suspects = np.flatnonzero(np.abs(parts[:, 0]) >= 2.0**53)
        elif self.header.field == "pattern" or not (parts == 0).any() or not _may_underflow(text):
            return
        else:
            suspects = np.flatnonzero((parts == 0).any(axis=1))
        if not suspects.size:
            return
        tokens, width = text.split(), len(self.header.kinds)
        for k in suspects.tolist():
            for column in range(columns):
                token = tokens[(k + 1) * width - columns + column]
                if self.header.field == "integer":
                    self.inexact += int(token) != int(parts[k, column])
                elif parts[k, column] == 0:
                    mantissa = token.lower().replace(b"d", b"e").partition(b"e")[0]
                    self.underflows += bool(mantissa.strip(b"+-0."))

    def _check_symmetry(self, text: bytes, first: int, part: slice) -> None:
        header = self.header
        if header.layout == "array":
            if header.symmetry == "hermitian":
                diagonal = _diagonal(header.rows)
                diagonal = diagonal[(diagonal >= part.start) & (diagonal < part.stop)]
                self._refuse_at(
                    diagonal[self.values[diagonal].imag != 0] - part.start,
                    text,
                    first,
                    "the diagonal of a hermitian matrix is real",
                )
            return
        rows, cols = self.rows[part], self.cols[part]
        if header.symmetry == "skew-symmetric":
            self._refuse_at(rows == cols, text, first, "a skew-symmetric matrix stores no diagonal")
        if header.symmetry == "hermitian":
            self._refuse_at(
                (rows == cols) & (self.values[part].imag != 0),
                text,
                first,
                "the diagonal of a hermitian matrix is real",
            )
        below, above = rows > cols, rows < cols
        if not (self.lower or self.upper):
            off = np.flatnonzero(below | above)[:1]
            self.lower, self.upper = bool(below[off].any()), bool(above[off].any())
        what = f"a {header.symmetry} file must store one triangle, and this entry is in the other one"
        self._refuse_at(above if self.lower else below, text, first, what)

    def _refuse_at(self, wrong: numpy.ndarray, text: bytes, first: int, what: str) -> None:
        """Refuse the first wrong entry; wrong is a mask over the entries of text, or their sorted numbers."""
        where = np.flatnonzero(wrong) if wrong.dtype == bool else wrong
        if where.size:
            refuse(self.where, _line_of(text, first, int(where[0])), what)

    def _note(self) -> None:
        if self.header.field == "pattern":
            self.notes.append("pattern file: every stored entry is read as 1")
        if self.upper:
            self.notes.append(f"{self.header.symmetry} file with its upper triangle stored; it was mirrored")
        if self.underflows:
            self.notes.append(f"{self.underflows} values too small for float64 were read as 0")
        if self.inexact:
            self.notes.append(f"{self.inexact} integers beyond 2**53 are not exact in float64 and were rounded")


def _parse(text: bytes, header: Header, count: int) -> Any:
    """SciPy's reader on checked lines, under a banner of our own; integers are read as the nearest float64."""
    import scipy.io

    field = header.field if header.field in ("complex", "pattern") else "real"
    size = f"{header.rows} {header.cols} {count}" if header.layout == "coordinate" else f"{count} 1"
    banner = f"%%MatrixMarket matrix {header.layout} {field} general\n{size}\n"
    return scipy.io.mmread(io.BytesIO(banner.encode() + _point(text)))


def _point(text: bytes) -> bytes:
    """Checked text in the spelling that SciPy reads: e for the Fortran exponents, no sign before positive numbers."""
    for letter in (b"d", b"D"):
        if letter in text:
            text = text.replace(letter, b"e")
    if b"+" in text:
        for before in (b" ", b"\t", b"\n"):
            text = text.replace(before + b"+", before)
        text = text.removeprefix(b"+")
    return text


def _may_underflow(text: bytes) -> bool:
    """Whether a value can be below 1e-308: some exponent is negative, or some token has 300 digits."""
    if any(mark in text for mark in (b"e-", b"E-", b"d-", b"D-")):
        return True
    return b"0" * 100 in text


def _line_of(text: bytes, first: int, entry: int) -> int:
    """Number of the line that holds entry number ``entry`` of text."""
    filled = (number for number, line in enumerate(text.split(b"\n"), first) if line.strip())
    return next(number for k, number in enumerate(filled) if k == entry)


def _diagonal(n: int) -> numpy.ndarray:
    """Positions of the diagonal in a lower triangle packed by columns."""
    j = np.arange(n, dtype=np.int64)
    return j * n - j * (j - 1) // 2


def _dense(header: Header, reader: _Reader, where: str) -> tuple[numpy.ndarray, None]:
    """The matrix in Fortran order, as the file has it: column by column."""
    n, values = header.rows, reader.values
    if header.symmetry == "general":
        return values.reshape((n, header.cols), order="F"), None
    out = np.zeros((n, n), values.dtype, order="F")
    at, skew = 0, int(header.symmetry == "skew-symmetric")
    for j in range(n - skew):
        column = values[at : at + n - j - skew]
        out[j, j + skew :] = -column if skew else column.conj() if header.symmetry == "hermitian" else column
        out[j + skew :, j] = column
        at += column.size
    return out, None


def _sparse(header: Header, reader: _Reader, where: str) -> tuple[Any, int]:
    """The matrix as canonical CSR, with the mirrored triangle; entries given twice are summed."""
    import scipy.sparse

    rows, cols, values = reader.rows, reader.cols, reader.values
    if header.symmetry != "general":
        off = rows != cols
        mirrored = values[off]
        if header.symmetry != "symmetric":
            mirrored = -mirrored if header.symmetry == "skew-symmetric" else mirrored.conj()
        rows, cols = np.concatenate([rows, cols[off]]), np.concatenate([cols, rows[off]])
        values = np.concatenate([values, mirrored])
    matrix = scipy.sparse.csr_array(scipy.sparse.coo_array((values, (rows, cols)), shape=(header.rows, header.cols)))
    matrix.sum_duplicates()
    extra = values.size - matrix.nnz
    if extra:
        reader.notes.append(f"{extra} entries repeat the position of another one; they were summed")
        if not np.isfinite(matrix.data).all():
            raise InputError("repeated entries sum to more than the largest float64, 1.8e308", where=where)
    return matrix, matrix.nnz


FORMAT = Format("mtx", _SUFFIXES, matches, items, load)
