"""The bit-parallel check against the grammar said as regular expressions, and the values against float()."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lowrank_cli.errors import InputError
from lowrank_cli.formats import mtx_grammar
from lowrank_cli.formats.mtx_grammar import Scan, check_line, scan

from .mtx_read import coordinate, read

KINDS = [("index", "index", "real"), ("index", "index", "integer"), ("index", "index", "real", "real"),
         ("index", "index"), ("real",), ("integer",), ("real", "real")]  # fmt: skip
REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eEdD][+-]?[0-9]+)?")

pieces = st.text(alphabet="0019.+-eEdD \t\n", max_size=12)
numbers = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(REAL, fullmatch=True).filter(str.isascii),
    st.sampled_from(["1.5D+3", "+5", "1e400", "1e-400", "nan", "inf", "0x10", "1,5", "1/3", "1e", "1.2.3", "1_0", "%"]),
)
lines = st.lists(st.one_of(numbers, pieces, st.sampled_from(["1", "2", "3"])), max_size=5).map(" ".join)


def expected(text: bytes, kinds: tuple[str, ...]) -> tuple[int, int] | None:
    """Numbers of entries and lines, by the check that looks at one line after the other."""
    entries = 0
    split = text.split(b"\n")[:-1]
    for number, line in enumerate(split):
        try:
            entries += bool(check_line(line, kinds, "x", number))
        except InputError:
            return None
    return entries, len(split)


def assert_agreement(text: bytes, kinds: tuple[str, ...]) -> None:
    found = scan(text, kinds)
    assert (None if found is None else (found.entries, found.lines)) == expected(text, kinds), text


@given(st.lists(lines, max_size=8), st.sampled_from(KINDS))
@example(["1" * 64, "1" * 63 + " 1 1", " " * 200 + "1"], ("real",))
@example(["9" * 300 + "." + "9" * 300 + "e" + "9" * 300], ("real",))
def test_the_fast_check_accepts_what_the_grammar_accepts(texts, kinds):
    assert_agreement("".join(f"{text}\n" for text in texts).encode(), kinds)


@given(st.binary(max_size=80), st.sampled_from(KINDS))
def test_the_fast_check_agrees_on_arbitrary_bytes(text, kinds):
    assert_agreement(text + b"\n", kinds)


@pytest.mark.parametrize(("before", "kinds"), [(b"1 ", KINDS[3]), (b"", ("integer",)), (b"", ("real",))])
def test_the_fast_check_agrees_on_every_short_token(before, kinds):
    for length in range(1, 6):
        for letters in itertools.product(b"1.-eD " if length < 5 else b"1.-e", repeat=length):
            assert_agreement(before + bytes(letters) + b"\n", kinds)


@pytest.mark.parametrize("kinds", KINDS)
def test_one_wrong_byte_anywhere_in_many_blocks_is_found(kinds, monkeypatch):
    monkeypatch.setattr(mtx_grammar, "BLOCK", 256)
    token = {"index": b"17", "integer": b"-170", "real": b"-1.25e-3"}
    line = b" ".join(token[kind] for kind in kinds) + b"\n"
    text = line * 60
    assert scan(text, kinds) == Scan(60, 60, 0)
    for at in range(0, len(text) - 1, 7):
        assert scan(text[:at] + b"x" + text[at + 1 :], kinds) is None


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.from_regex(REAL, fullmatch=True).filter(lambda t: t.isascii() and len(t) < 60),
            st.tuples(st.integers(0, 10**40), st.integers(-360, 300)).map(lambda p: f"{p[0]}e{p[1]}"),
            st.decimals(allow_nan=False, allow_infinity=False).map(str).filter(lambda t: len(t) < 900),
        ),
        min_size=1,
        max_size=20,
    )
)
@example(["2.2250738585072011e-308", "4.9406564584124654e-324", "2.4703282292062327e-324", "1.7976931348623157e308"])
@example(["9007199254740993", "9007199254740992.999999999999999999999999", "0.1e1", "1" * 300])
@example(["1.00000000000000011102230246251565404236316680908203125", "8.5e-324", "-0", "-0.0e5"])
def test_every_value_is_pythons_float_of_its_token(tmp_path_factory, tokens):
    values = [float(re.sub("[dD]", "e", token)) for token in tokens]
    text = coordinate(*(f"{i} 1 {token}" for i, token in enumerate(tokens, 1)), size=f"{len(tokens)} 1")
    folder = tmp_path_factory.mktemp("values")
    if not np.isfinite(values).all():
        line = 3 + int(np.argmin(np.isfinite(values)))
        with pytest.raises(InputError, match=f": line {line}: value .* beyond the largest float64"):
            read(folder, text)
        return
    loaded = read(folder, text)
    assert loaded.array.data.tobytes() == np.array(values).tobytes()
    small = [value == 0 and re.search("^[-+.0]*[1-9]", token) for value, token in zip(values, tokens, strict=True)]
    assert bool(loaded.notes) == any(small)
    assert all(note.startswith(f"{sum(map(bool, small))} value") for note in loaded.notes)


def test_a_megabyte_of_digits_does_not_confuse_the_carries():
    text = b"1" * 60_000 + b"\n"
    assert scan(text * 20, ("real",)) == Scan(20, 20, 0)
    assert scan(text * 20 + b"1" * 60_000 + b"-\n", ("real",)) is None
