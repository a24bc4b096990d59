"""Numbers of a text table: clean texts by NumPy's parser, everything else field by field, with its place.

A clean text holds nothing but digits, signs, points, exponents and delimiters. On such a text NumPy's parser and the
grammar here take the same numbers, each rounded correctly; it is not asked about anything else, since it also takes
``inf``, ``nan`` and lines that are empty.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING

from ..lazy import np
from .text_layout import NUMBER, Layout, bare, is_missing, split
from .text_lines import refuse, refuse_field

if TYPE_CHECKING:
    import numpy.typing as npt

_CLEAN = b"0123456789+-.eE \n"
#: An exponent with which a number may be too small for float64.
_TINY = re.compile(rb"[eE]-0*(?:3[0-9]{2}|[4-9][0-9]{2}|[1-9][0-9]{3,})")
_SHOWN = 40


class Values:
    """Turns lines into rows of numbers, and keeps the labels and what was lost on the way."""

    def __init__(self, layout: Layout, where: str):
        self._layout = layout
        self._where = where
        self.labels: list[str] = []
        self.lost = 0

    def rows(self, lines: list[bytes], start: int) -> npt.NDArray:
        """The numbers of ``lines``, the first of which has number ``start``. InputError with line and column."""
        found = self._fast(lines, start)
        return self._exact(lines, start) if found is None else found

    def notes(self) -> tuple[str, ...]:
        if not self.lost:
            return ()
        verb = "value is" if self.lost == 1 else "values are"
        return (f"{self.lost} {verb} too small for float64 and read as 0",)

    def _fast(self, lines: list[bytes], start: int) -> npt.NDArray | None:
        """All rows, or None when anything at all is out of the ordinary."""
        layout, mark = self._layout, self._layout.delimiter
        labels: list[bytes] = []
        if layout.trailing:
            cut = [line.rsplit(mark, 1) for line in lines]
            if any(len(pair) != 2 or b'"' in pair[1] or NUMBER.fullmatch(pair[1].strip()) for pair in cut):
                return None
            lines = [pair[0] for pair in cut]
        if layout.labels:
            pairs = [line.split(mark, 1) for line in lines]
            if any(len(pair) != 2 for pair in pairs):
                return None
            labels, lines = [pair[0].strip() for pair in pairs], [pair[1] for pair in pairs]
            if not layout.told and any(NUMBER.fullmatch(label) for label in labels):
                return None
        text = b"\n".join(lines)
        clean = _CLEAN + (b"\t" if mark is None else mark)
        if (
            not text.strip()
            or text.translate(None, clean)
            or any(b'"' in label for label in labels)
            or _TINY.search(text)
        ):
            return None
        delimiter = None if mark is None else mark.decode()
        try:
            found = np.loadtxt(io.BytesIO(text), delimiter=delimiter, comments=None, ndmin=2, encoding="ascii")
        except ValueError:
            return None
        if found.shape != (len(lines), layout.cols) or not np.isfinite(found).all():
            return None
        self.labels += [label.decode("utf-8", "replace") for label in labels]
        return found

    def _exact(self, lines: list[bytes], start: int) -> npt.NDArray:
        layout = self._layout
        out = np.empty((len(lines), layout.cols))
        for k, line in enumerate(lines):
            number = start + k
            if not line.strip():
                refuse(self._where, number, "is empty", "remove it, or fill in its values")
            fields = split(line, layout.delimiter, self._where, number)
            if len(fields) != layout.fields:
                refuse(self._where, number, f"has {len(fields)} fields, not {layout.fields} like the lines before it")
            self._check_labels(fields, number)
            values = fields[layout.labels : len(fields) - layout.trailing]
            out[k] = [self._value(field, layout.labels + at, number) for at, field in enumerate(values)]
        return out

    def _check_labels(self, fields: list[bytes], number: int) -> None:
        layout = self._layout
        places = ([0] if layout.labels and not layout.told else []) + ([len(fields) - 1] if layout.trailing else [])
        for at in places:
            if NUMBER.fullmatch(bare(fields[at])):
                what = f"{_shown(bare(fields[at]))} is a number in a column of text"
                hint = "name the first column rownames if these are labels"
                refuse_field(self._where, number, layout.column(at), what, hint)
        if layout.labels:
            self.labels.append(bare(fields[0]).decode("utf-8", "replace"))

    def _value(self, field: bytes, at: int, number: int) -> float:
        text = bare(field)
        if NUMBER.fullmatch(text):
            value = float(text)
            if math.isinf(value):
                refuse_field(self._where, number, self._layout.column(at), f"{_shown(text)} is beyond float64, 1.8e308")
            if value == 0 and re.search(rb"[1-9]", re.split(rb"[eE]", text)[0]):
                self.lost += 1
            return value
        place, hint = self._layout.column(at), "a matrix needs a number in every place"
        if is_missing(field):
            said = "the field is empty" if not text else f"missing value {_shown(text)}"
            refuse_field(self._where, number, place, said, "fill in missing values, or remove their rows or columns")
        if re.fullmatch(rb"[+-]?inf(inity)?", text.lower()):
            refuse_field(self._where, number, place, f"{_shown(text)} is infinite", hint)
        if re.fullmatch(rb"[+-]?[0-9.]*,[0-9]+(?:[eE][+-]?[0-9]+)?", text):
            hint = "a decimal comma is not read: write a point"
        elif re.fullmatch(rb"\(?[0-9.eE+-]+[ij]\)?", text):
            hint = "complex numbers are read from .npy, .mtx and HDF5"
        refuse_field(self._where, number, place, f"{_shown(text)} is no number", hint)


def _shown(text: bytes) -> str:
    said = text.decode("utf-8", "replace")
    return repr(said if len(said) <= _SHOWN else said[: _SHOWN - 3] + "...")
