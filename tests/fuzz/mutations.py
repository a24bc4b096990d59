"""Damage to a file, drawn from a seed: bits, pieces, and the numbers a parser believes."""

from __future__ import annotations

import re

import numpy as np

#: What little-endian and big-endian fields of 2, 4 and 8 bytes are replaced by.
_NUMBERS = [
    value.to_bytes(width, order)
    for width in (2, 4, 8)
    for value in (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1)
    for order in ("little", "big")
]
#: What a numeral, a name or a delimiter in text is replaced by.
_WORDS = [b"0", b"-1", b"1e999", b"nan", b"9" * 25, b"4294967296", b"18446744073709551616", b"", b"\0", b'"', b"{}",
          b"[", b"\xff\xfe", b"\n", b"1" * 400, b"null", b"True", b"<f16", b"|O", b"../../x", b"\x1b[2J"]  # fmt: skip


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to three pieces of damage."""
    for _ in range(int(rng.integers(1, 4))):
        content = _KINDS[int(rng.integers(len(_KINDS)))](content, rng)
    return content


def _place(content: bytes, rng: np.random.Generator) -> int:
    # headers are short and stand at either end: half of all damage goes there
    length = max(len(content), 1)
    at = int(rng.integers(length))
    if rng.random() < 0.5:
        near = int(rng.integers(min(length, 200)))
        at = near if rng.random() < 0.7 else length - 1 - near
    return at


def _bits(content: bytes, rng: np.random.Generator) -> bytes:
    raw = bytearray(content)
    for _ in range(int(rng.integers(1, 4)) if raw else 0):
        raw[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(raw)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: _place(content, rng)]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    at = _place(content, rng)
    return content[:at] + rng.bytes(int(rng.integers(1, 9))) + content[at:]


def _remove(content: bytes, rng: np.random.Generator) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + int(rng.integers(1, 17)) :]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at : at + int(rng.integers(1, 65))] * 2 + content[at + 1 :]


def _number(content: bytes, rng: np.random.Generator) -> bytes:
    new = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
    at = _place(content, rng)
    at -= at % (len(new) if rng.random() < 0.7 else 1)
    return content[:at] + new + content[at + len(new) :]


def _word(content: bytes, rng: np.random.Generator) -> bytes:
    found = list(re.finditer(rb"[-+\w.]+|[^\w\s]", content[:4096]))
    if not found:
        return content
    one = found[int(rng.integers(len(found)))]
    return content[: one.start()] + _WORDS[int(rng.integers(len(_WORDS)))] + content[one.end() :]


_KINDS = [_bits, _bits, _cut, _insert, _remove, _repeat, _number, _number, _word, _word]
