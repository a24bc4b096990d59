"""Tables of numbers as text: CSV, TSV, semicolons or spaces, with or without names and labels, also from a pipe.

Read strictly: a point and no comma in a number, the same number of fields in every line, no missing value; the first
line that is otherwise is named. What is taken for names is said in the notes, and kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..lazy import np
from .loaded import Format, Item, Loaded, Names
from .text_layout import NUMBER, Layout, find_layout
from .text_lines import TextLines
from .text_values import Values
from .working import allocate, matrix_shape, require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
#: Lines parsed at a time hold about so many bytes.
_PIECE = 1 << 21
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_SEPARATOR = re.compile(rb"[,;\t ]+")
_OTHER = (b"{", b"[", b"<", b"%%", b"%!", b"%PDF")


def matches(head: bytes, name: str) -> bool:
    """Whether the first bytes are text and look like a table, or the name says so and they are text."""
    if _CONTROL.search(head) or not head.strip():
        return False
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if name.lower().endswith(_SUFFIXES) and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if text.startswith(_OTHER):
        return False
    lines = [line for line in text.split(b"\n") if line.strip() and not line.startswith(b"#")]
    if not lines:
        return False
    if len(lines) == 1 and len(head) >= 512:
        # one long line: the names of many columns, or many numbers
        return max(lines[0].count(mark) for mark in (b",", b";", b"\t")) >= 8 or _numeric(lines[0])
    # the second line has numbers where there are any; the last one may be cut
    return _numeric(lines[min(1, len(lines) - 1)])


def _numeric(line: bytes) -> bool:
    fields = [field.strip(b'"') for field in _SEPARATOR.split(line.strip())]
    return 2 * sum(NUMBER.fullmatch(field) is not None for field in fields) >= len(fields)


def items(path: str) -> list[Item]:
    """The one matrix; the number of its rows is known only after all of it was read."""
    return [load(path).item]


def load(path: str, item: str | None = None) -> Loaded:
    """Read the table. Raises InputError (with line and column), ResourceError. Cost: one pass over the file."""
    try:
        file = open(path, "rb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error
    with file:
        return load_stream(file, path, item)


def load_stream(source: Any, where: str, item: str | None = None) -> Loaded:
    """Read the table from a source, up to its end."""
    if item is not None:
        raise InputError(f"a table of text holds one matrix and no item {item!r}", where=where)
    lines = TextLines(source, where)
    first = lines.first(2)
    layout = find_layout(first, where)
    values = Values(layout, where)
    blocks = [values.rows([line], number) for number, line in (first[1:] if layout.header else first)]
    held = sum(block.nbytes for block in blocks)
    for start, texts in lines.texts():
        step = max(1, _PIECE // (len(texts[0]) + 1))
        for at in range(0, len(texts), step):
            blocks.append(values.rows(texts[at : at + step], start + at))
            held += blocks[-1].nbytes
        # what is held is copied once into the matrix
        require_memory(held, where, "the table")
    array = _joined(blocks, layout, where)
    _refuse_triplets(array, layout, where)
    names = Names(tuple(values.labels) if layout.labels else None, layout.names)
    stored = Item(None, array.shape, "float64", None, array.nbytes, layout.kind)
    return Loaded(array, where, "text", stored, (*layout.notes(first[0][0]), *values.notes()), names)


def stream_items(source: Any, where: str) -> list[Item]:
    return [load_stream(source, where).item]


def _joined(blocks: list[npt.NDArray], layout: Layout, where: str) -> npt.NDArray:
    shape = matrix_shape((sum(map(len, blocks)), layout.cols), where)
    out = allocate(shape, np.dtype(np.float64), False, where)
    at = 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        out[at : at + len(block)] = block
        at += len(block)
    return out


def _refuse_triplets(array: npt.NDArray, layout: Layout, where: str) -> None:
    """Refuse entries "row column value" below a line "rows columns entries": a sparse matrix, not a table."""
    if array.shape[1] != 3 or layout.header or layout.labels or len(array) < 2:
        return
    rows, cols, count = array[0]
    at = array[1:, :2]
    inside = (at >= 1).all() and bool((at[:, 0] <= rows).all()) and bool((at[:, 1] <= cols).all())
    if count == len(array) - 1 and inside and (array[0] % 1 == 0).all() and (at % 1 == 0).all():
        raise InputError(
            f"looks like the {int(count)} entries of a sparse {int(rows)} x {int(cols)} matrix, not like a table",
            where=where,
            hint="put the line '%%MatrixMarket matrix coordinate real general' in front",
        )


FORMAT = Format("text", _SUFFIXES, matches, items, load, load_stream, stream_items, guessed=True)
