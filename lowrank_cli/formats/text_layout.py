"""How a text table is laid out: delimiter, names of the columns, labels of the rows; from its first two lines.

Decided strictly: a first line is names only when none of its fields is a number; a column is labels only when it is the
first or the last and holds text, or when the corner of the table says so (nothing, or ``rownames`` as R writes it).
"""

from __future__ import annotations

import dataclasses
import re

from ..errors import InputError
from .text_lines import refuse
from .working import require_memory

#: Nothing in it can match in two ways, so a long field that is no number costs its length and not its square.
NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
#: What is meant for a number and written otherwise; never taken for a label.
_ALMOST = re.compile(rb"[+-]?(?:inf(?:inity)?|0x[0-9a-f.p+-]+|\(?[0-9.][0-9., _']*(?:[ed][+-]?[0-9]*)?[ij]?\)?)", re.I)
MISSING = frozenset(
    (b"", b"na", b"n/a", b"#n/a", b"nan", b"-nan", b"null", b"none", b"nil", b"-", b"?", b".", b"missing")
)
#: Corners that say that the first column is labels: as R data sets, pandas and R's write.csv have them.
_CORNERS = frozenset((b"rownames", b"row.names", b"row_names", b"unnamed: 0"))
_DELIMITERS = (b"\t", b";", b",")
#: Bytes of memory that a field of the first lines takes, as bytes and as a name: measured, about 130.
_PER_FIELD = 150
_KINDS = {b"\t": "tab-separated", b";": "semicolon-separated", b",": "comma-separated", None: "space-separated"}

#: A field in quotes up to the one that closes it; two together stand for one.
_OPENED = rb'"[^"]*+(?:""[^"]*+)*+'
#: A field of a line with quotes: in quotes (1) or without any (2), then the delimiter (3) or the end of the line.
#: Nothing that has matched is given back, so that no line costs more than its length.
_QUOTED_FIELDS: dict[bytes | None, re.Pattern[bytes]] = {
    mark: re.compile(rb" *+(?:(" + _OPENED + rb')" *+|([^"' + mark + rb"]*+))(" + mark + rb"|$)")
    for mark in _DELIMITERS
}
_QUOTED_FIELDS[None] = re.compile(rb"(?:(" + _OPENED + rb')"|([^" \t]++))([ \t]++|$)')


@dataclasses.dataclass(frozen=True)
class Layout:
    """delimiter None: runs of spaces and tabs. names are those of the columns of the matrix; cols is their number;
    labels and trailing: the first and the last column are no part of the matrix; told: the first line says so of the
    first column, which then may hold numbers."""

    delimiter: bytes | None
    header: bool
    labels: bool
    told: bool
    trailing: bool
    cols: int
    names: tuple[str, ...] | None
    label_name: str
    trailing_name: str

    @property
    def fields(self) -> int:
        """Fields of a line."""
        return self.cols + self.labels + self.trailing

    @property
    def kind(self) -> str:
        """The layout in words: "comma-separated, names, labels"."""
        said = (_KINDS[self.delimiter], "names" if self.header else "", "labels" if self.labels else "")
        return ", ".join(word for word in said if word)

    def notes(self, line: int) -> tuple[str, ...]:
        """What was taken as something else than numbers; ``line`` is the number of the first line."""
        notes = []
        if self.header:
            notes.append(f"line {line} is taken as the names of the columns")
        if self.labels:
            named = f" ({self.label_name!r})" if self.label_name else ""
            notes.append(f"column 1{named} is taken as the names of the rows")
        if self.trailing:
            named = f" ({self.trailing_name!r})" if self.trailing_name else ""
            notes.append(f"column {self.fields}{named} is text and left out")
        return tuple(notes)

    def column(self, field: int) -> str:
        """How a message calls a field of a line (from 0): "column 3 ('Ozone')"."""
        at = field - self.labels
        named = self.names is not None and 0 <= at < len(self.names)
        return f"column {field + 1} ({self.names[at]!r})" if named and self.names else f"column {field + 1}"


def find_layout(lines: list[tuple[int, bytes]], where: str) -> Layout:
    """The layout that the first two lines have. InputError when they fit none, ResourceError where memory is short."""
    if not lines:
        raise InputError("holds no numbers", where=where)
    delimiter = _delimiter([line for _, line in lines])
    marks = (b" ", b"\t") if delimiter is None else (delimiter,)
    fields = 1 + max(sum(map(line.count, marks)) for _, line in lines)
    require_memory(_PER_FIELD * fields, where, f"a line of {fields} fields")
    rows = [(number, split(line, delimiter, where, number)) for number, line in lines]
    number, first = rows[0]
    second = rows[1][1] if len(rows) > 1 else None
    header = _is_header(first, second, number, where)
    if header and second is None:
        refuse(where, number, f"holds no number but {_shown(first[0])}, and nothing follows", "a table is read")
    body = second if header and second is not None else first
    shift = len(body) - len(first) if header else 0
    told = header and (shift == 1 or _is_corner(first[0]))
    labels = told or _is_text(body[0])
    trailing = len(body) > 1 + labels and _is_text(body[-1])
    cols = len(body) - labels - trailing
    if cols < 1:
        at = rows[1][0] if header else number
        refuse(where, at, f"holds no number but {_shown(body[0])}", "a table of numbers is read")
    names = tuple(map(_name, first[labels - shift : len(first) - trailing])) if header else None
    corner = _name(first[0]) if header and labels and not shift else ""
    return Layout(delimiter, header, labels, told, trailing, cols, names, corner, _name(first[-1]) if header else "")


def split(line: bytes, delimiter: bytes | None, where: str, number: int) -> list[bytes]:
    """The fields of a line, spaces around them taken off; a field in double quotes keeps its first quote as a mark,
    loses the last one, and may hold the delimiter."""
    if b'"' not in line:
        fields = line.split(delimiter)
        return fields if delimiter is None else [field.strip() for field in fields]
    pattern = _QUOTED_FIELDS[delimiter]
    line = line.strip() if delimiter is None else line
    fields, at = [], 0
    while True:
        match = pattern.match(line, at)
        if match is None:
            refuse(where, number, f"has quotes that do not enclose a field, in field {len(fields) + 1}")
        fields.append(match[2].strip() if match[1] is None else match[1].replace(b'""', b'"'))
        at = match.end()
        if not match[3]:
            return fields


def bare(field: bytes) -> bytes:
    """A field without the mark that it was quoted."""
    return field[1:].strip() if field.startswith(b'"') else field


def is_missing(field: bytes) -> bool:
    return bare(field).lower() in MISSING


def _name(field: bytes) -> str:
    return bare(field).decode("utf-8", "replace")


def _is_number(field: bytes) -> bool:
    """Whether a field is a number that was not put in quotes to say that it is a name."""
    return NUMBER.fullmatch(field) is not None


def _is_text(field: bytes) -> bool:
    """Whether a field is no number, and nothing that was meant for one."""
    return not is_missing(field) and NUMBER.fullmatch(bare(field)) is None and _ALMOST.fullmatch(bare(field)) is None


def _is_corner(field: bytes) -> bool:
    return bare(field).lower() in _CORNERS or bare(field) == b""


def _delimiter(lines: list[bytes]) -> bytes | None:
    """The first of tab, semicolon and comma that the last of these lines (numbers, if any are) has; else spaces."""
    unquoted = re.sub(_OPENED + rb'"', b'""', lines[-1])
    return next((mark for mark in _DELIMITERS if mark in unquoted), None)


def _is_header(first: list[bytes], second: list[bytes] | None, number: int, where: str) -> bool:
    if second is not None and len(first) != len(second):
        if len(first) == len(second) - 1 and not any(map(_is_number, first)):
            return True  # R's write.table: no name above the labels
        said = f"has {_fields(first)} and the next one {_fields(second)}"
        refuse(where, number, said, "every line needs the same number of fields")
    # a number in quotes is a name where the next line has numbers without
    quotable = second is not None and any(map(_is_number, second))
    if len(first) > 1 and bare(first[0]) == b"" and (_counted(first[1:]) or _all_names(first[1:], quotable)):
        return True
    named = any(_is_text(field) or (quotable and field.startswith(b'"')) for field in first)
    if named and not any(map(_is_number, first)):
        for at, field in enumerate(first):
            if is_missing(field):
                refuse(where, number, f"has names, but field {at + 1} is {_shown(field)}", "name every column")
        return True
    for at, field in enumerate(first[1:-1], 2):
        if _is_text(field):
            other = next((other for other in first if _is_number(other)), b"")
            said = f"is neither names nor numbers: {_shown(field)} (field {at}) is no number, {_shown(other)} is one"
            refuse(where, number, said, "remove the line, or give every column a name")
    return False


def _all_names(fields: list[bytes], quotable: bool) -> bool:
    return all(_is_text(field) or (quotable and field.startswith(b'"')) for field in fields)


def _counted(fields: list[bytes]) -> bool:
    """Whether fields count 0, 1, 2 or 1, 2, 3: what pandas puts above columns that have no names."""
    return any(fields == [b"%d" % (start + k) for k in range(len(fields))] for start in (0, 1))


def _fields(row: list[bytes]) -> str:
    return "1 field" if len(row) == 1 else f"{len(row)} fields"


def _shown(field: bytes) -> str:
    text = _name(field)
    return repr(text if len(text) <= 40 else text[:37] + "...")
