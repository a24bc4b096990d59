"""Banner and size line of a Matrix Market file, and what they promise: refused before anything is allocated."""

from __future__ import annotations

import dataclasses
import re

from ..errors import InputError
from .mtx_grammar import refuse, shown
from .mtx_lines import Lines
from .working import require_memory

FIELDS = {
    "real": "real", "double": "real", "integer": "integer", "unsigned-integer": "integer", "complex": "complex",
    "pattern": "pattern",
}  # fmt: skip
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")
#: field -> (stored dtype, bytes of one value of it)
DTYPES = {"real": ("float64", 8), "integer": ("int64", 8), "complex": ("complex128", 16), "pattern": ("bool", 1)}
_COLUMNS = {"real": ("real",), "integer": ("integer",), "complex": ("real", "real"), "pattern": ()}
_LARGEST = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Header:
    """layout is "coordinate" or "array"; stored is the number of entry lines that must follow."""

    layout: str
    field: str
    symmetry: str
    rows: int
    cols: int
    stored: int

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of token in each column of an entry line."""
        return (("index", "index") if self.layout == "coordinate" else ()) + _COLUMNS[self.field]

    @property
    def detail(self) -> str:
        return f"{self.layout} {self.field} {self.symmetry}"

    @property
    def dtype(self) -> str:
        return DTYPES[self.field][0]

    @property
    def reading(self) -> int:
        """Bytes that reading all of it takes."""
        value = 16 if self.field == "complex" else 8
        if self.layout == "array":
            return self.memory(self.stored, value)
        # the triplets as read, the matrix and its transposed copy; a symmetric matrix doubles both
        full = self.stored * (1 if self.symmetry == "general" else 2)
        return full * (value + 16) + 2 * full * (value + 8) + 8 * (self.rows + self.cols)

    def memory(self, entries: int, value_bytes: int) -> int:
        """Bytes of values and, in coordinate layout, column indices and row pointer."""
        if self.layout == "array":
            return self.rows * self.cols * value_bytes
        index = 4 if max(self.rows, self.cols, entries) < 2**31 else 8
        return entries * (value_bytes + index) + (self.rows + 1) * index


def read_header(lines: Lines) -> Header:
    """Read up to and with the size line. Raises InputError with the line."""
    layout, field, symmetry = _banner(lines)
    while True:
        line = lines.next_line()
        if line is None:
            refuse(lines.where, lines.number + 1, "the file ends before the size line", "it is truncated")
        if not line.startswith(b"%") and line.strip(b" \t"):
            break
    number = lines.number
    names = ("rows", "columns", "entries") if layout == "coordinate" else ("rows", "columns")
    tokens = re.split(rb"[ \t]+", line.strip(b" \t"))
    if len(tokens) != len(names) or not all(re.fullmatch(rb"[0-9]+", token) for token in tokens):
        refuse(
            lines.where,
            number,
            f"the size line must hold {len(names)} whole numbers ({', '.join(names)}), not {shown(line)}",
        )
    sizes = []
    for name, token in zip(names, tokens, strict=True):
        digits = token.lstrip(b"0") or b"0"
        if len(digits) > 19 or int(digits) > _LARGEST:
            refuse(lines.where, number, f"{shown(token)} {name} are more than a matrix can have (2**63 - 1)")
        sizes.append(int(digits))
    rows, cols = sizes[:2]
    if not rows or not cols:
        refuse(lines.where, number, f"the matrix is {rows} x {cols}: it has no {'columns' if rows else 'rows'}")
    if symmetry != "general" and rows != cols:
        refuse(lines.where, number, f"a {symmetry} matrix must be square, not {rows} x {cols}")
    stored = sizes[2] if layout == "coordinate" else rows * cols
    if layout == "array" and symmetry != "general":
        stored = rows * (rows - 1) // 2 + (0 if symmetry == "skew-symmetric" else rows)
    return Header(layout, field, symmetry, rows, cols, stored)


def _banner(lines: Lines) -> tuple[str, str, str]:
    line = lines.next_line()
    if line is None:
        raise InputError("the file is empty", where=lines.where)
    words = line.decode("ascii", "backslashreplace").lower().split()
    if not words or words[0] != "%%matrixmarket":
        hint = "a Matrix Market file begins with %%MatrixMarket matrix coordinate real general"
        if line.startswith(b"version https://git-lfs"):
            hint = "this is a Git LFS pointer and not the file itself: run git lfs pull"
        elif line.lstrip().startswith(b"<"):
            hint = "this is a web page and not a matrix: download the file again"
        refuse(lines.where, 1, f"no Matrix Market banner but {shown(line)}", hint)
    if len(words) != 5:
        refuse(lines.where, 1, f"the banner has {len(words)} words where 5 are due: {shown(line)}")
    for word, allowed in zip(words[1:], (("matrix",), ("coordinate", "array"), FIELDS, SYMMETRIES), strict=True):
        if word not in allowed:
            refuse(
                lines.where, 1, f"{shown(word.encode())} in the banner is not supported", f"use {', '.join(allowed)}"
            )
    layout, field, symmetry = words[2], FIELDS[words[3]], words[4]
    if field == "pattern" and (layout == "array" or symmetry not in ("general", "symmetric")):
        refuse(lines.where, 1, f"pattern cannot be {symmetry if layout == 'coordinate' else layout}")
    if symmetry == "hermitian" and field != "complex":
        refuse(lines.where, 1, f"hermitian needs complex values, not {field}", "write symmetric in the banner")
    return layout, field, symmetry


def check_promise(header: Header, most_bytes: int | None, where: str) -> None:
    """Refuse with InputError what the file cannot hold. most_bytes: length of all text, or the most a compressed file
    can expand to; None when unknown."""
    least = 2 * max(1, len(header.kinds))  # each token and the blank or line end behind it
    if most_bytes is not None and header.stored * least > most_bytes + 1:
        raise InputError(
            f"the size line promises {header.stored} entries, which need {header.stored * least} bytes or more; the "
            f"file has {most_bytes} at most",
            where=where,
            hint="it is truncated, or its size line is wrong",
        )


def check_memory(header: Header, where: str, named: bool) -> None:
    """Refuse with ResourceError what does not fit in memory. named: where is the path of a file."""
    what = f"a {header.rows} x {header.cols} matrix with {header.stored} stored entries"
    if header.layout == "coordinate" and named:
        hint = "write it as .npz first, which is read in parts: lowrank convert FILE.mtx FILE.npz"
        require_memory(header.reading, where, what, hint)
    else:
        require_memory(header.reading, where, what)
