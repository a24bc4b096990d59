"""The header of a .npy file, read strictly: a tiny grammar, no evaluation, all arithmetic in Python ints.

Source: the NumPy format specification (NEP 1, versions 1 to 3). numpy's own reader evaluates the header as Python and
believes its length field; a hostile one costs it memory or an exception of a surprising class.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Protocol

from ..errors import InputError
from ..lazy import np
from .working import check_dimensions

MAGIC = b"\x93NUMPY"
MAX_HEADER = 64 * 1024
#: numpy's own limit was 32 dimensions and is 64 now
MAX_DIMS = 64


class Source(Protocol):
    """Something to read from, once and forwards; both may return less than asked for."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int: ...


@dataclasses.dataclass(frozen=True)
class Header:
    """What the header says: dtype as stored, shape, storage order, and where the data begin. No .npy header says that
    the number of rows is None, a raw stream may."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(source: Source, where: str) -> Header:
    """Read and check the header; the source then stands at the first byte of the data. InputError on any fault."""
    magic = _read_exactly(source, 8, where)
    if magic[:6] != MAGIC:
        raise InputError("not a .npy file (it does not begin with \\x93NUMPY)", where=where)
    version = magic[6], magic[7]
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise InputError(
            f"unknown .npy version {version[0]}.{version[1]}", where=where, hint="versions 1.0, 2.0 and 3.0 are read"
        )
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(_read_exactly(source, width, where), "little")
    if length > MAX_HEADER:
        raise InputError(f"the header claims {length} bytes; at most {MAX_HEADER} are accepted", where=where)
    raw = _read_exactly(source, length, where)
    try:
        text = raw.decode("utf-8" if version == (3, 0) else "latin-1")
    except UnicodeDecodeError as error:
        raise InputError("the header is not UTF-8 text", where=where) from error
    return _parse(text, where, 8 + width + length, version != (3, 0))


def _read_exactly(source: Source, size: int, where: str) -> bytes:
    parts, missing = [], size
    while missing:
        part = source.read(missing)
        if not part:
            got = size - missing
            raise InputError(f"truncated inside the .npy header (got {got} of {size} bytes)", where=where)
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


#: White space; what else Python's \s takes, as \x1f, is none to NumPy.
_SPACE = " \t\r\n"
_KEY = re.compile(rf"""[{_SPACE}]*(?P<quote>['"])(?P<key>\w{{1,64}})(?P=quote)[{_SPACE}]*:[{_SPACE}]*""", re.ASCII)
_VALUES = {
    "descr": re.compile(r"""(?P<quote>['"])(?P<value>[^'"\\]{0,256})(?P=quote)"""),
    "fortran_order": re.compile(r"(?P<value>True|False)\b"),
    "shape": re.compile(r"\((?P<value>[^()]*)\)"),
}
_NEXT = re.compile(rf"[{_SPACE}]*(?P<comma>,)?[{_SPACE}]*(?P<end>\}})?")


def _parse(text: str, where: str, start: int, long: bool) -> Header:
    """The three entries in any order, each once, and nothing else. long: Python 2 wrote its integers with an L."""
    malformed = InputError("malformed .npy header", where=where, hint="write the file again with numpy.save")
    if not text.startswith("{"):
        raise malformed
    found: dict[str, str] = {}
    at, ended = 1, False
    while not ended:
        key = _KEY.match(text, at)
        if key is None or key["key"] not in _VALUES or key["key"] in found:
            raise malformed
        value = _VALUES[key["key"]].match(text, key.end())
        if value is None:
            if key["key"] == "descr" and text[key.end() : key.end() + 1] in ("[", "("):
                _refuse_composite(text[key.end() :], where)
            raise malformed
        found[key["key"]] = value["value"]
        after = _NEXT.match(text, value.end())
        assert after is not None  # it matches the empty string
        ended = after["end"] is not None
        if not ended and after["comma"] is None:
            raise malformed
        at = after.end()
    if len(found) != len(_VALUES) or text[at:].strip(_SPACE):
        raise malformed
    return Header(
        _dtype(found["descr"], where), _shape(found["shape"], where, long), found["fortran_order"] == "True", start
    )


def _shape(text: str, where: str, long: bool) -> tuple[int, ...]:
    text = re.sub(rf"[{_SPACE}]+", " ", text).strip(" ")
    parts = [part.strip(" ") for part in text.split(",", MAX_DIMS + 1)]
    if parts[-1] == "" and (len(parts) > 1 or text == ""):
        parts.pop()
    elif len(parts) == 1:
        raise InputError(f"malformed shape ({text[:40]}) in the .npy header", where=where)
    if len(parts) > MAX_DIMS:
        raise InputError(f"the array has more than {MAX_DIMS} dimensions", where=where)
    for part in parts:
        if re.fullmatch(r"-[0-9]+L?", part):
            raise InputError(f"negative dimension in shape ({text[:80]})", where=where, hint="the header is damaged")
        if not re.fullmatch(r"(0|[1-9][0-9]*)L?", part, re.ASCII) or (part[-1] == "L" and not long):
            raise InputError(f"malformed shape ({text[:80]}) in the .npy header", where=where)
        if len(part) > 20:
            raise InputError(f"array too large: shape ({text[:80]})", where=where, hint="the header is damaged")
    shape = tuple(int(part.rstrip("L")) for part in parts)
    check_dimensions(shape, where)
    return shape


_SIMPLE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)|\?", re.ASCII)
_KINDS = {
    "O": "Python objects",
    "S": "byte strings",
    "a": "byte strings",
    "U": "text",
    "V": "raw bytes",
    "M": "dates",
    "m": "time spans",
}


def _dtype(descr: str, where: str) -> np.dtype:
    if _SIMPLE.fullmatch(descr):
        return np.dtype(descr)
    kind = descr.lstrip("<>|=")[:1]
    if kind == "O":
        raise InputError(
            f"holds Python objects (dtype {descr!r}); pickled objects are never loaded",
            where=where,
            hint="convert it to a numeric array and save it again",
        )
    if kind in _KINDS:
        hint = "convert it to a numeric array and save it again"
        if descr.lstrip("<>|=") == "V2":
            hint = "is it bfloat16? .npy cannot say so: convert it to float32 before saving"
        raise InputError(f"holds {_KINDS[kind]} (dtype {descr!r}), not numbers", where=where, hint=hint)
    if descr.lstrip("<>|=") in ("f12", "f16", "c24", "c32", "g", "G"):
        raise InputError(
            f"holds long double values (dtype {descr!r}), whose layout differs between machines",
            where=where,
            hint="convert it to float64 or complex128 and save it again",
        )
    raise InputError(f"unknown dtype {descr!r}", where=where, hint="save it as float32, float64 or an integer type")


def _refuse_composite(text: str, where: str) -> None:
    what = "a structured dtype" if text[0] == "[" else "a sub-array dtype"
    shown = " ".join(text.split()).split("}")[0].split("'fortran_order'")[0].rstrip(" ,")
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    raise InputError(
        f"holds records, not numbers ({what}: {shown})", where=where, hint="save one numeric field as its own array"
    )
