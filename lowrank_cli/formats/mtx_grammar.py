"""Which bytes are entry lines of a Matrix Market file: a check of every byte, 64 bytes of text to a machine word.

For each class of bytes (digit, sign, dot, ...) a bit string has one bit for each byte of text. A set of cursors, one a
line, is such a bit string too, and all cursors walk over a run of digits by one addition, whose carries run to the end
of each run (Cameron et al., "Bitwise data parallelism in regular expression matching", PACT 2014). Only a block that
fails is looked at line by line, to name the line and the token.

    index = digit+            integer = [sign] digit+
    real  = [sign] (digit+ [. digit*] | . digit+) [(e|E|d|D) [sign] digit+]
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, NoReturn

from ..errors import InputError
from ..lazy import np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy

    Bits = numpy.ndarray

#: Bytes of text checked at once: the bit strings and masks of one block stay in a core's cache.
BLOCK = 1 << 19

TOKEN = {
    "index": re.compile(rb"[0-9]++"),
    "integer": re.compile(rb"[+-]?+[0-9]++"),
    # possessive: a token of 64 KiB that is no number must not be tried in every way
    "real": re.compile(rb"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eEdD][+-]?+[0-9]++)?+"),
}
_NOT_FINITE = re.compile(rb"[+-]?(?:nan.*|inf|infinity|1\.#.*)", re.IGNORECASE)


#: an exponent of -100 or less, and a digit other than 0 before the exponent
_SMALL = re.compile(rb"[eEdD]-0*[1-9][0-9]{2}")
_NONZERO = re.compile(rb"[-+.0]*[1-9]")


@dataclasses.dataclass(frozen=True)
class Scan:
    """entries and lines in a text, and how many of its numbers float64 cannot hold (integers that are rounded, other
    numbers that become 0)."""

    entries: int
    lines: int
    lost: int


class _Refused(Exception):
    """Some line of the block is not in the grammar."""


def _pack(mask: Bits, words: int) -> Bits:
    out = np.zeros(8 * words, np.uint8)
    out[: (mask.size + 7) // 8] = np.packbits(mask, bitorder="little")
    return out.view("<u8")


def _add(a: Bits, b: Bits) -> Bits:
    """a + b as two long binary numbers."""
    total = a + b
    carry = total < a
    while carry[:-1].any():
        total[1:] += carry[:-1]
        carry[1:] = (total[1:] == 0) & carry[:-1]
        carry[0] = False
    return total


def _step(a: Bits, n: int = 1) -> Bits:
    """Every cursor n bytes on, n from 1 to 63."""
    out = a << n
    out[1:] |= a[:-1] >> (64 - n)
    return out


def _skip(run: Bits, cursors: Bits) -> Bits:
    """Every cursor that stands at the start of a run moves behind it; the others stay."""
    outside = ~run
    return (_add(cursors & run, run) & outside) | (cursors & outside)


def _demand(cursors: Bits, allowed: Bits) -> None:
    if (cursors & ~allowed).any():
        raise _Refused


class _Classes:
    """Bit strings of the classes of bytes of one block."""

    def __init__(self, text: bytes | memoryview, real: bool):
        a = np.frombuffer(text, np.uint8)
        self.size = a.size
        # one word more than needed, so that no carry leaves the last word
        words = self.words = a.size // 64 + 1
        self.digit = _pack((a - 48) < 10, words)
        self.sign = _pack((a == 43) | (a == 45), words)
        self.blank = _pack((a == 32) | (a == 9), words)
        self.newline = _pack(a == 10, words)
        if real:
            self.dot = _pack(a == 46, words)
            self.mark = _pack(((a | 32) - 100) < 2, words)
        #: whether some number may be outside the range or precision of float64
        self.extreme = False

    def starts(self) -> Bits:
        """A cursor at the first byte of every line; the block ends with a line end."""
        out = _step(self.newline)
        out[0] |= 1
        out[self.size // 64] &= ~(np.uint64(1) << np.uint64(self.size % 64))
        return out


def _past_sign(c: _Classes, at: Bits) -> Bits:
    signed = at & c.sign
    return (at ^ signed) | _step(signed) if signed.any() else at


def _past_whole(c: _Classes, at: Bits) -> Bits:
    _demand(at, c.digit)
    return _skip(c.digit, at)


def _past_real(c: _Classes, at: Bits) -> Bits:
    at = _past_sign(c, at)
    bare = at & c.dot
    at = at ^ bare
    _demand(at, c.digit)
    at = _skip(c.digit, at)
    dotted = at & c.dot
    if dotted.any():
        at = (at ^ dotted) | _skip(c.digit, _step(dotted))
    if bare.any():
        at = at | _past_whole(c, _step(bare))
    marked = at & c.mark
    if marked.any():
        power = _past_sign(c, _step(marked))
        at = (at ^ marked) | _past_whole(c, power)
        # an exponent of three digits or more
        c.extreme |= bool((_step(_step(power) & c.digit) & c.digit).any())
    return at


def _past(c: _Classes, kind: str, at: Bits) -> Bits:
    if kind == "index":
        return _past_whole(c, at)
    if kind == "real":
        return _past_real(c, at)
    long = c.digit
    for n in (1, 2, 4, 8):
        long = long & _step(long, n)
    # sixteen digits or more
    c.extreme |= bool(long.any())
    return _past_whole(c, _past_sign(c, at))


def _past_blanks(c: _Classes, at: Bits) -> Bits:
    return _skip(c.blank, at) if (at & c.blank).any() else at


def _count(text: bytes | memoryview, kinds: tuple[str, ...]) -> tuple[int, int, bool]:
    """Entry lines and all lines of a block that ends with a line end, and whether some number may be extreme."""
    c = _Classes(text, "real" in kinds)
    at = _past_blanks(c, c.starts()) & ~c.newline
    entries = _ones(at)
    for column, kind in enumerate(kinds):
        if column:
            _demand(at, c.blank)
            at = _past_blanks(c, _step(at))
        at = _past(c, kind, at)
    _demand(_past_blanks(c, at), c.newline)
    return entries, _ones(c.newline), c.extreme


def _ones(bits: Bits) -> int:
    return int(np.count_nonzero(np.unpackbits(bits.view(np.uint8)).view(np.bool_)))


def blocks(text: bytes, size: int) -> Iterator[memoryview]:
    """Cut text, which ends with a line end, into blocks of about ``size`` bytes that end with one too."""
    view, at = memoryview(text), 0
    while at < len(text):
        cut = text.rfind(b"\n", at, at + size) + 1 or text.index(b"\n", at) + 1
        yield view[at:cut]
        at = cut


def scan(text: bytes, kinds: tuple[str, ...]) -> Scan | None:
    """What text holds if every line of it is blank or an entry of these columns, else None.

    text ends with a line end; kinds are "index", "integer" or "real", one a column. About 2 ns a byte.
    """
    entries = lines = lost = 0
    zeros = b"0" * 200 in text
    try:
        for block in blocks(text, BLOCK):
            found = _count(block, kinds)
            entries, lines = entries + found[0], lines + found[1]
            if found[2] or zeros:
                lost += _lost(bytes(block), kinds)
    except _Refused:
        return None
    return Scan(entries, lines, lost)


def _lost(text: bytes, kinds: tuple[str, ...]) -> int:
    """Numbers in checked text that float64 cannot hold: integers that get rounded, others that become 0."""
    tokens, lost, width = text.split(), 0, len(kinds)
    for column, kind in enumerate(kinds):
        if kind == "integer":
            # more than 309 digits are beyond float64, and refused later
            digits = [token.lstrip(b"+-0") for token in tokens[column::width]]
            lost += sum(16 <= len(d) <= 309 and not _exact(int(d)) for d in digits)
        elif kind == "real":
            suspects = [t for t in tokens[column::width] if len(t) >= 200 or _SMALL.search(t)]
            lost += sum(float(point(t)) == 0 and _NONZERO.match(t) is not None for t in suspects)
    return lost


def _exact(whole: int) -> bool:
    try:
        return int(float(whole)) == whole
    except OverflowError:
        return True


def point(text: bytes) -> bytes:
    """Checked text in the spelling that other readers know: e for Fortran's d, no sign before positive numbers."""
    for letter in (b"d", b"D"):
        if letter in text:
            text = text.replace(letter, b"e")
    if b"+" in text:
        for before in (b" ", b"\t", b"\n"):
            text = text.replace(before + b"+", before)
        text = text.removeprefix(b"+")
    return text


def shown(token: bytes) -> str:
    """A token as a message shows it: printable and short."""
    text = repr(token.decode("ascii", "backslashreplace"))
    return text if len(text) <= 40 else f"{text[:36]}...'"


def refuse(where: str, line: int, what: str, hint: str | None = None) -> NoReturn:
    """Raise InputError for one line of the file."""
    raise InputError(f"line {line}: {what}", where=where, hint=hint)


def check_line(raw: bytes, kinds: tuple[str, ...], where: str, line: int) -> list[bytes]:
    """The tokens of one entry line (none when it is blank), or InputError naming the first thing wrong with it."""
    text = raw.removesuffix(b"\n")
    tokens = re.split(rb"[ \t]+", text.strip(b" \t"))
    if tokens == [b""]:
        return []
    if tokens[0].startswith(b"%"):
        refuse(where, line, "comment after the size line", "comments may stand only between banner and size line")
    names: tuple[str, ...] = ("row index", "column index") if kinds[0] == "index" else ()
    names += {0: (), 1: ("value",), 2: ("real part", "imaginary part")}[len(kinds) - len(names)]
    for kind, name, token in zip(kinds, names, tokens, strict=False):
        if TOKEN[kind].fullmatch(token) is None:
            refuse(where, line, *_complaint(kind, name, token))
    if len(tokens) != len(kinds):
        what = f"{len(tokens)} column{'' if len(tokens) == 1 else 's'} where {len(kinds)} are due"
        if len(tokens) > len(kinds):
            what += f"; the first too many is {shown(tokens[len(kinds)])}"
        refuse(where, line, what, "each line holds one entry")
    return tokens


def _complaint(kind: str, name: str, token: bytes) -> tuple[str, str | None]:
    if kind == "index":
        return f"{name} {shown(token)} is not a positive whole number", None
    if _NOT_FINITE.fullmatch(token):
        return f"{name} {shown(token)} is not a finite number", "NaN and Inf are refused"
    if kind == "integer" and TOKEN["real"].fullmatch(token):
        return f"{name} {shown(token)} is not a whole number in an integer file", "write 'real' in the banner"
    hint = "write a decimal point" if b"," in token else None
    return f"{name} {shown(token)} is not a number", hint
