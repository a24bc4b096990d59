"""Safetensors by hand: every type to the bit, and every number of the header checked."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lowrank_cli.errors import InputError
from lowrank_cli.formats.opening import list_items, open_matrix

A = np.random.default_rng(47).standard_normal((4, 6))
KINDS = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1",
         "BOOL": "?", "U16": "u2", "U32": "u4", "U64": "u8", "C64": "c8"}  # fmt: skip


def content(tensors: dict, data: bytes, **header) -> bytes:
    text = json.dumps({**tensors, **header}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def tensor(kind: str, shape, start: int, stop: int) -> dict:
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, stop]}


def put(tmp_path, raw: bytes) -> str:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw)
    return str(path)


def refusal(path: str, item: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_matrix(path, item)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_read_to_the_bit(tmp_path, kind):
    array = np.abs(9 * A).astype(KINDS[kind])
    path = put(
        tmp_path, content({"w": tensor(kind, (4, 6), 0, array.nbytes)}, array.tobytes(), __metadata__={"a": "b"})
    )
    loaded = open_matrix(path)
    assert (loaded.array == array).all() and loaded.notes[0] == f"using {path}:w"
    assert loaded.item.dtype == array.dtype.name and list_items(path)[1][0].bytes == array.nbytes


def float8(code: int, exponents: int, bias: int) -> float:
    """The value that the definition gives: sign, exponent, mantissa."""
    bits = 7 - exponents
    sign, exponent, mantissa = -1 if code & 128 else 1, code >> bits & (1 << exponents) - 1, code & (1 << bits) - 1
    if exponents == 4 and code & 127 == 127:
        return math.nan
    if exponents == 5 and exponent == 31:
        return sign * math.inf if mantissa == 0 else math.nan
    fraction = mantissa / (1 << bits)
    return sign * (fraction * 2.0 ** (1 - bias) if exponent == 0 else (1 + fraction) * 2.0 ** (exponent - bias))


@pytest.mark.parametrize(("kind", "exponents", "bias"), [("F8_E4M3", 4, 7), ("F8_E5M2", 5, 15)])
def test_all_codes_of_the_short_floats_have_the_value_of_their_definition(tmp_path, kind, exponents, bias):
    codes = np.arange(256, dtype="u1")
    loaded = open_matrix(put(tmp_path, content({"w": tensor(kind, (16, 16), 0, 256)}, codes.tobytes())))
    expected = np.array([float8(code, exponents, bias) for code in range(256)], dtype="f4").reshape(16, 16)
    assert loaded.array.dtype == np.float32 and np.array_equal(loaded.array, expected, equal_nan=True)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    exact = (A.astype("f4").view("u4") & 0xFFFF0000).view("f4")
    upper = (exact.view("u4") >> 16).astype("<u2")
    loaded = open_matrix(put(tmp_path, content({"w": tensor("BF16", (4, 6), 0, 48)}, upper.tobytes())))
    assert loaded.array.tobytes() == exact.tobytes() and loaded.item.dtype == "bfloat16" and loaded.item.bytes == 48


def test_one_of_several_must_be_named_and_names_may_hold_dots_and_colons(tmp_path):
    names = {"layer.0:up.weight": tensor("F64", (4, 6), 0, 192), "b": tensor("F64", (6, 4), 192, 384)}
    names |= {"bias": tensor("F64", (2,), 384, 400), "odd": tensor("F4", (9, 9), 400, 441)}
    path = put(tmp_path, content(names, A.tobytes() + A.tobytes() + bytes(57)))
    assert ":layer.0:up.weight (4 x 6 float64)" in refusal(path)
    assert (open_matrix(f"{path}:layer.0:up.weight").array == A).all()
    assert "1-D" in refusal(path, "bias") and "type F4" in refusal(path, "odd")


@pytest.mark.parametrize(
    "raw",
    [
        content({"w": tensor("F64", (4, 6), 0, 191)}, bytes(191)),
        content({"w": tensor("F64", (4, 6), 0, 192)}, bytes(191)),
        content({"w": tensor("F64", (4, 6), 0, 192)}, bytes(193)),
        content({"w": tensor("F64", (4, 6), 8, 200)}, bytes(200)),
        content({"w": tensor("F64", (4, 6), 0, 192), "v": tensor("F64", (4, 6), 96, 288)}, bytes(288)),
        content({"w": tensor("F64", (2**40, 2**40), 0, 192)}, bytes(192)),
        content({"w": tensor("F64", (-4, -6), 0, 192)}, bytes(192)),
        content({"w": tensor("F64", (4.0, 6), 0, 192)}, bytes(192)),
        content({"w": tensor("F64", (True, 24), 0, 192)}, bytes(192)),
        content({"w": {"dtype": "F64"}}, bytes(192)),
        content({"w": 5}, bytes(192)),
        # its end has one digit more than Python writes
        content({"w": tensor("ODD", (4, 6), 0, 10**4300 - 1)}, b""),
        content({"w": tensor("F64", (4, 6, 10**4299), 0, 192)}, bytes(192)),
        (2**40).to_bytes(8, "little") + b"{}",
        (200).to_bytes(8, "little") + b"{" + bytes(250),
        (12).to_bytes(8, "little") + b'{"a":1,"a":2}',
        (30).to_bytes(8, "little") + b"[" * 30,
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(tmp_path, raw):
    path = put(tmp_path, raw)
    assert refusal(path).startswith(path)


def test_the_real_files_open_by_name(data):
    assert open_matrix(f"{data('sam_lora_rank4.safetensors')}:w_a_000").shape == (4, 768)
    assert "3-D" in refusal(str(data("jfk-codes.safetensors")))
