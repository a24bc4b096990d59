"""Foreign strings made harmless, and numbers made words. Nothing here knows a terminal."""

from __future__ import annotations

import unicodedata

#: Control, format (bidi, zero width), surrogate, private, unassigned, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def safe(text: object) -> str:
    """``text`` with every character that could move a cursor, reorder or break a line written as an escape."""
    raw = str(text)
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(_NAMED.get(c) or (_escaped(c) if unicodedata.category(c) in _UNSAFE else c) for c in raw)


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float | int | None, full: bool) -> str:
    """A number for a reader (four digits) or, when ``full``, the shortest text that reads back to the same value."""
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return str(value)
    return repr(value) if full else f"{value:.4g}"


def size(count: int | None, full: bool) -> str:
    """A number of bytes, in decimal units for a reader."""
    if count is None:
        return "unknown"
    if full or count < 1000:
        return f"{count} bytes"
    units = ("bytes", "kB", "MB", "GB", "TB", "PB")
    power = min(len(units) - 1, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.3g} {units[power]}"


def shape(dims: list[int] | tuple[int, ...]) -> str:
    """ "60 x 40"; "single" for the shape of one number."""
    return " x ".join(str(d) for d in dims) or "single"
