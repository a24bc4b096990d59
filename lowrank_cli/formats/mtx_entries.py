"""The entries of a Matrix Market file, fast when nothing is wrong and exactly when something is.

The fast way feeds checked text to SciPy's reader, which parses with all cores while the next text is checked; it says
only that something is wrong. The exact way holds one text at a time, and names the line and the token. A pipe, which
cannot be read twice, goes the exact way at once.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import InputError
from ..lazy import np
from .mtx_grammar import check_line, point, refuse, scan, shown
from .mtx_header import Header
from .mtx_lines import Lines

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(eq=False)
class Entries:
    """Entries in file order: rows and cols (0-based; None in array layout), values (float64 or complex128). lost
    counts the numbers that float64 cannot hold, upper says that the upper triangle is the one stored."""

    rows: numpy.ndarray | None
    cols: numpy.ndarray | None
    values: numpy.ndarray
    lost: int = 0
    upper: bool = False

    @property
    def indices(self) -> tuple[numpy.ndarray, numpy.ndarray] | None:
        """Rows and columns; None in array layout."""
        return None if self.rows is None or self.cols is None else (self.rows, self.cols)

    def notes(self, header: Header) -> tuple[str, ...]:
        """What the user should know about how the file was read."""
        notes = []
        if header.field == "pattern":
            notes.append("pattern file: every stored entry is read as 1")
        if self.upper:
            notes.append(f"{header.symmetry} file with its upper triangle stored; it was mirrored")
        if self.lost and header.field == "integer":
            verb = "value is" if self.lost == 1 else "values are"
            notes.append(f"{self.lost} {verb} not exact in float64 (integers beyond 2^53)")
        elif self.lost:
            verb = "value is" if self.lost == 1 else "values are"
            notes.append(f"{self.lost} {verb} too small for float64 and read as 0")
        return tuple(notes)


def read_fast(header: Header, lines: Lines) -> Entries | None:
    """All entries, or None when anything at all is wrong. About 3 ns a byte on two cores."""
    import scipy.io

    feed = _Feed(header, lines)
    # closed, it gives its buffer back: where SciPy refuses, its reader keeps the file for ever
    with io.BufferedReader(feed, 1 << 20) as file:
        try:
            parsed = scipy.io.mmread(file)
        except (ValueError, OverflowError):
            parsed = None
    if feed.error is not None and not isinstance(feed.error, InputError):
        raise feed.error
    if parsed is None or feed.error is not None or not feed.ended or feed.entries != header.stored:
        return None
    entries = _entries_of(parsed, header)
    entries.lost = feed.lost
    return entries if _first_wrong(header, entries, 0) is None else None


class _Feed(io.RawIOBase):
    """Checked text as a binary file under a banner of our own. The reader that calls us swallows exceptions, so what
    goes wrong is kept in error, and the file ends."""

    def __init__(self, header: Header, lines: Lines):
        super().__init__()
        self.error: BaseException | None = None
        self.ended = False
        self.entries = self.lost = 0
        self._header = header
        self._lines = lines
        self._chunks = lines.chunks(header.stored)
        self._text = memoryview(_banner(header, header.stored))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            while not self._text and not self.ended:
                self._text = memoryview(self._next())
        except BaseException as error:  # an interrupt as well: it is raised again when the reader has returned
            self.error, self.ended = error, True
        count = min(len(buffer), len(self._text))
        buffer[:count] = self._text[:count]
        self._text = self._text[count:]
        return count

    def _next(self) -> bytes:
        text = next(self._chunks, None)
        if text is None:
            self.ended = True
            return b""
        found = scan(text, self._header.kinds)
        if found is None or self.entries + found.entries > self._header.stored:
            raise InputError("an entry is wrong", where=self._lines.where)
        self.entries += found.entries
        self.lost += found.lost
        self._lines.number += found.lines
        return point(text)


def read_exact(header: Header, lines: Lines) -> Entries:
    """All entries, or InputError that names the first line that is wrong. Memory: the entries and one text."""
    index = np.int32 if max(header.rows, header.cols) < 2**31 else np.int64
    coordinate = header.layout == "coordinate"
    # memory that is never written is never taken: a false promise of the size line costs nothing
    rows, cols = (np.empty(header.stored, index) if coordinate else None for _ in range(2))
    all_of = Entries(rows, cols, np.empty(header.stored, np.complex128 if header.field == "complex" else np.float64))
    done = 0
    for part in parts(header, lines):
        _copy(part, all_of, done)
        done += part.values.size
        all_of.lost += part.lost
        all_of.upper |= part.upper
    return all_of


def parts(header: Header, lines: Lines) -> Iterator[Entries]:
    """All entries, those of one text at a time, or InputError that names the first line that is wrong."""
    import scipy.io

    done = 0
    seen = [False, False]
    for text in lines.chunks(header.stored):
        first = lines.number + 1
        found = scan(text, header.kinds)
        if found is None:
            _blame(text, first, header, lines.where)
        if done + found.entries > header.stored:
            line = _line_of(text, first, header.stored - done)
            refuse(lines.where, line, f"one entry more than the {header.stored} that the size line promises")
        if found.entries:
            with io.BytesIO(_banner(header, found.entries) + point(text)) as file:
                try:
                    parsed = scipy.io.mmread(file)
                except (ValueError, OverflowError):
                    _blame(text, first, header, lines.where)
            part = _entries_of(parsed, header)
            wrong = _first_wrong(header, part, done, seen)
            if wrong is not None:
                if wrong[1] is None:
                    _blame(text, first, header, lines.where)
                refuse(lines.where, _line_of(text, first, wrong[0]), wrong[1])
            part.lost, part.upper = found.lost, seen[1]
            yield part
        done += found.entries
        lines.number += found.lines
    if done < header.stored:
        what = f"the file ends after {done} of the {header.stored} entries that the size line promises"
        refuse(lines.where, lines.number, what, "it is truncated, or its size line is wrong")


def _banner(header: Header, entries: int) -> bytes:
    """Banner for SciPy: no symmetry, which we expand, and real for integers, which become the nearest float64."""
    field = header.field if header.field in ("complex", "pattern") else "real"
    size = f"{header.rows} {header.cols} {entries}" if header.layout == "coordinate" else f"{entries} 1"
    return f"%%MatrixMarket matrix {header.layout} {field} general\n{size}\n".encode()


def _entries_of(parsed: Any, header: Header) -> Entries:
    if header.layout == "array":
        return Entries(None, None, parsed.reshape(-1))
    return Entries(
        parsed.row, parsed.col, parsed.data.astype(np.float64) if parsed.data.dtype.kind in "bi" else parsed.data
    )


def _copy(part: Entries, all_of: Entries, at: int) -> None:
    stop = at + part.values.size
    all_of.values[at:stop] = part.values
    if part.indices is not None and all_of.indices is not None:
        for taken, given in zip(all_of.indices, part.indices, strict=True):
            taken[at:stop] = given


def _first_wrong(
    header: Header, part: Entries, done: int, seen: list[bool] | None = None
) -> tuple[int, str | None] | None:
    """Number of the first entry of part that breaks a rule of the header, and which rule (None: out of range or not
    finite); None when all is well. done entries went before; seen says which triangles (lower, upper) did."""
    wrong: list[tuple[int, str | None]] = []

    def note(mask: numpy.ndarray, what: str | None) -> None:
        if mask.any():
            wrong.append((int(np.argmax(mask)), what))

    note(~np.isfinite(part.values), None)
    if part.indices is not None:
        for found, limit in zip(part.indices, (header.rows, header.cols), strict=True):
            if found.size and (found.min() < 0 or found.max() >= limit):
                note((found < 0) | (found >= limit), None)
    if header.symmetry != "general" and part.values.size:
        _note_symmetry(header, part, done, [False, False] if seen is None else seen, note)
    return min(wrong, key=lambda pair: pair[0], default=None)


def _note_symmetry(header: Header, part: Entries, done: int, seen: list[bool], note: Any) -> None:
    real = "the diagonal of a hermitian matrix is real"
    if part.indices is None:
        if header.symmetry == "hermitian":
            diagonal = np.zeros(part.values.size, bool)
            j = np.arange(header.rows, dtype=np.int64)
            at = j * header.rows - j * (j - 1) // 2 - done
            diagonal[at[(at >= 0) & (at < part.values.size)]] = True
            note(diagonal & (part.values.imag != 0), real)
        return
    rows, cols = part.indices
    below, above = rows > cols, rows < cols
    diagonal = ~(below | above)
    if header.symmetry == "skew-symmetric":
        note(diagonal, "a skew-symmetric matrix stores no diagonal")
    if header.symmetry == "hermitian":
        note(diagonal & (part.values.imag != 0), real)
    if not any(seen):
        off = np.argmax(~diagonal)
        seen[:] = bool(below[off]), bool(above[off])
    part.upper = seen[1]
    what = f"a {header.symmetry} file must store one triangle, and this entry is in the other one"
    note(above if seen[0] else below, what)


def _blame(text: bytes, first: int, header: Header, where: str) -> NoReturn:
    """Raise InputError for the first line that is not in the grammar, out of range or not finite."""
    limits = (("row", header.rows), ("column", header.cols)) if header.layout == "coordinate" else ()
    for number, raw in enumerate(text.removesuffix(b"\n").split(b"\n"), first):
        tokens = check_line(raw, header.kinds, where, number)
        for token, (name, limit) in zip(tokens, limits, strict=False):
            digits = token.lstrip(b"0")
            if not digits or len(digits) > 19 or int(digits) > limit:
                hint = None if digits else "indices count from 1; is this file 0-based?"
                refuse(where, number, f"{name} index {shown(token)} is not from 1 to {limit}", hint)
        for token in tokens[len(limits) :]:
            if abs(float(point(token))) == float("inf"):
                refuse(where, number, f"value {shown(token)} is beyond the largest float64, 1.8e308")
    raise InputError(f"lines {first} and on cannot be parsed", where=where)


def _line_of(text: bytes, first: int, entry: int) -> int:
    """Number of the line that holds entry number ``entry`` of text."""
    filled = (number for number, line in enumerate(text.split(b"\n"), first) if line.strip())
    return next(number for k, number in enumerate(filled) if k == entry)
