"""Reading .npy: what numpy.save wrote comes back bit for bit, and anything else is one line of InputError."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowrank_cli.errors import InputError, LowrankError, ResourceError
from lowrank_cli.formats import npy, working
from lowrank_cli.formats.opening import open_matrix

FLOATS = ["f4", "f8", "c8", "c16"]
STORED = [*FLOATS, "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]


def header(descr: str = "'<f8'", shape: str = "(3, 2)", fortran: str = "False", version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    return raw_header(text.encode("latin-1"), version)


def raw_header(text: bytes, version: int = 1) -> bytes:
    width = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, len(text)) + text


def write(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    return str(path)


def refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        npy.load(write(tmp_path, content))
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("stored", STORED)
def test_every_dtype_order_and_byte_order_gives_the_values_numpy_gives(tmp_path, stored, byteorder, order):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 100, (37, 11)).astype(stored)
    if stored in FLOATS:
        values = (rng.standard_normal((37, 11)) * 1e30).astype(stored)
    path = str(tmp_path / "a.npy")
    np.save(path, np.asarray(values.astype(np.dtype(stored).newbyteorder(byteorder)), order=order))
    loaded = npy.load(path)
    target = {"f2": "float32"}.get(stored, np.dtype(stored).name if stored in FLOATS else "float64")
    assert loaded.array.dtype == np.dtype(target) and loaded.array.dtype.isnative
    assert loaded.array.tobytes() == values.astype(target).tobytes()
    assert loaded.array.flags["F_CONTIGUOUS" if order == "F" else "C_CONTIGUOUS"]
    assert loaded.item.dtype == np.dtype(stored).name
    assert loaded.item.bytes == values.nbytes
    assert loaded.notes == ()


@pytest.mark.parametrize("stored", ["<i2", ">f8", "<f8"])
def test_arrays_longer_than_the_conversion_buffer_arrive_whole(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(npy, "BUFFER", 64)
    monkeypatch.setattr(npy, "PIECE", 10)
    values = np.arange(13 * 17).reshape(13, 17).astype(stored)
    np.save(tmp_path / "a.npy", values)
    assert (npy.load(str(tmp_path / "a.npy")).array == values).all()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_one_to_three_are_read(tmp_path, version):
    data = np.arange(6.0)
    loaded = npy.load(write(tmp_path, header(version=version) + data.tobytes()))
    assert (loaded.array == data.reshape(3, 2)).all()


def test_keys_may_stand_in_any_order_with_any_quotes(tmp_path):
    text = b"""{ "shape" :(3,2),"fortran_order":False , "descr": "<f8"}"""
    assert npy.load(write(tmp_path, raw_header(text) + bytes(48))).shape == (3, 2)


def test_a_python_2_header_with_long_integers_is_read(tmp_path):
    assert npy.load(write(tmp_path, header(shape="(3L, 2L)") + bytes(48))).shape == (3, 2)


def test_a02_a_file_cut_at_any_byte_is_refused(tmp_path):
    np.save(tmp_path / "whole.npy", np.ones((4, 5)))
    whole = (tmp_path / "whole.npy").read_bytes()
    path = tmp_path / "a.npy"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            open_matrix(str(path))


def test_a01_truncated_data_are_refused_with_both_sizes(tmp_path):
    line = refusal(tmp_path, header() + bytes(43))
    assert "48 bytes" in line and "43" in line


def test_a03_trailing_bytes_are_refused(tmp_path):
    assert "1 bytes follow" in refusal(tmp_path, header() + bytes(49))


def test_a04_a_shape_far_larger_than_the_file_is_refused_before_memory_is_taken(tmp_path):
    tracemalloc.start()
    refusal(tmp_path, header(shape="(1000000, 1250000)") + bytes(48))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("shape", [f"({2**62}, 4)", f"({2**32}, {2**32})", "(" + "4294967296, " * 4 + ")"])
def test_a06_a_shape_whose_product_overflows_is_refused(tmp_path, shape):
    line = refusal(tmp_path, header(shape=shape) + bytes(48))
    assert "too large" in line or "truncated" in line


@pytest.mark.parametrize("shape", [f"({2**63}, 1)", f"({2**64}, 1)", f"(1, {10**30})"])
def test_a07_a_dimension_of_2_to_the_63_or_more_is_refused(tmp_path, shape):
    assert "too large" in refusal(tmp_path, header(shape=shape) + bytes(48))


@pytest.mark.parametrize("shape", [f"(0, {2**62})", f"({10**30}, 0)"])
def test_a08_nothing_times_too_much_is_refused(tmp_path, shape):
    assert "too large" in refusal(tmp_path, header(shape=shape))


@pytest.mark.parametrize("shape", ["(-3, 2)", "(-3, -4)", "(-1, 0)"])
def test_a05_negative_dimensions_are_refused_by_name(tmp_path, shape):
    assert "negative dimension" in refusal(tmp_path, header(shape=shape) + bytes(48))


@pytest.mark.parametrize(
    "shape", ["(3, True)", "(3, 2.0)", "(03, 2)", "(3 2)", "(3,\n2x)", "(,)", "(3,,2)", "[3, 2]", "6", "(6)"]
)
def test_a14_shapes_that_are_no_tuple_of_integers_are_refused(tmp_path, shape):
    assert "malformed" in refusal(tmp_path, header(shape=shape) + bytes(48))


def test_more_dimensions_than_numpy_has_are_refused(tmp_path):
    assert "more than 64" in refusal(tmp_path, header(shape="(" + "1, " * 65 + ")") + bytes(8))


@pytest.mark.parametrize(
    ("descr", "words"),
    [
        ("'|O'", "pickled objects are never loaded"),
        ("'|S5'", "byte strings"),
        ("'<U3'", "text"),
        ("'|V2'", "bfloat16"),
        ("'<M8[ns]'", "dates"),
        ("'<m8[s]'", "time spans"),
        ("'<f16'", "long double"),
        ("'<c32'", "long double"),
        ("[('a', '<f8'), ('b', '<i4')]", "structured"),
        ("('<f8', (3,))", "sub-array"),
        ("'<f3'", "unknown dtype"),
        ("'nonsense'", "unknown dtype"),
    ],
)
def test_a11_values_that_are_no_numbers_are_refused_by_name(tmp_path, descr, words):
    assert words in refusal(tmp_path, header(descr=descr, shape="(1, 1000000000000)") + bytes(48))


@pytest.mark.parametrize(("descr", "words"), [("'<U0'", "text"), ("'|V0'", "raw bytes"), ("'|S0'", "byte strings")])
def test_a09_items_of_no_size_are_refused(tmp_path, descr, words):
    assert words in refusal(tmp_path, header(descr=descr, shape="(1000000000, 1000000000)"))


def test_a10_a_pickle_inside_is_never_run(tmp_path):
    witness = tmp_path / "witness"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (witness,))

    evil = pickle.dumps(Payload())
    refusal(tmp_path, header(descr="'|O'", shape="(1, 1)") + evil)
    path = tmp_path / "b.npy"
    path.write_bytes(evil)
    with pytest.raises(InputError, match="never loaded"):
        open_matrix(str(path))
    assert not witness.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"{'descr': '<f8', 'fortran_order': False}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), 'more': 1}",
        b"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)}",
        b"{'descr': '<f8', 'fortran_order': 0, 'shape': (3, 2)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)} + 1",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').getpid(), 2)}",
        b"{'descr': '<f' '8', 'fortran_order': False, 'shape': (3, 2)}",
        b"-" * 9000 + b"1",
        b"(" * 9000,
        b"{'descr': '" + b"a" * 9000,
        b"{" + b" " * 60000,
        b"\x00\xff'''\\\n",
    ],
)
def test_a12_headers_outside_the_grammar_are_refused_and_never_evaluated(tmp_path, text):
    assert "malformed" in refusal(tmp_path, raw_header(text) + bytes(48))


def test_a13_a_header_that_claims_gigabytes_is_refused_unread(tmp_path):
    content = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{'descr'"
    assert "claims 4294967295" in refusal(tmp_path, content)


def test_a_version_3_header_that_is_not_utf8_is_refused(tmp_path):
    assert "UTF-8" in refusal(tmp_path, raw_header(b"{'descr': '\xff'", 3))


@pytest.mark.parametrize("space", ["\x1f", "\xa0", "\x0b", "\x85"])
@pytest.mark.parametrize("place", ["(3, 2", "'<f8', 'fort", "_order': F", "), }"])
def test_a12_what_is_white_space_to_python_and_none_to_numpy_is_refused(tmp_path, space, place):
    content = header().replace(place.encode(), place.replace(" ", space).encode("latin-1"))
    assert len(content) == len(header()) and content != header()
    assert "malformed" in refusal(tmp_path, content + bytes(48))


def test_a14_long_integers_of_python_2_stand_in_no_header_of_version_3(tmp_path):
    assert "malformed" in refusal(tmp_path, header(shape="(3L, 2L)", version=3) + bytes(48))


def test_a14_an_unknown_version_is_refused(tmp_path):
    assert "version 9.0" in refusal(tmp_path, b"\x93NUMPY\x09\x00\x10\x00" + bytes(64))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("()", "single number"),
        ("(6,)", "(6, 1) or (1, 6)"),
        ("(1, 2, 3)", "3-D"),
        ("(0, 5)", "rows"),
        ("(5, 0)", "columns"),
    ],
)
def test_a17_what_is_no_matrix_is_refused_and_still_listed(tmp_path, shape, words):
    count = int(np.prod(eval(shape)))
    content = header(shape=shape) + bytes(8 * count)
    assert words in refusal(tmp_path, content)
    assert npy.items(write(tmp_path, content))[0].shape == eval(shape)


def test_a18_bool_bytes_other_than_zero_and_one_are_true(tmp_path):
    loaded = npy.load(write(tmp_path, header(descr="'|b1'", shape="(1, 4)") + bytes([0, 1, 2, 255])))
    assert loaded.array.tolist() == [[0.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("values", "inexact"),
    [
        (np.array([[2**53, -(2**53), 2**60, 5]]), 0),
        (np.array([[2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1]]), 3),
        (np.array([[2**64 - 1, 2**64 - 2048, 2**53 + 1, 0]], np.uint64), 2),
        (np.array([[2**63 - 1, 2**63 - 1024, -(2**63), 0]]), 1),
    ],
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_integers_that_float64_cannot_hold_are_counted(tmp_path, values, inexact, byteorder):
    np.save(tmp_path / "a.npy", values.astype(values.dtype.newbyteorder(byteorder)))
    loaded = npy.load(str(tmp_path / "a.npy"))
    assert (loaded.array == values.astype(float)).all()
    assert len(loaded.notes) == (inexact > 0)
    if inexact:
        assert loaded.notes[0].startswith(f"{inexact} value")


def test_a21_a_matrix_larger_than_memory_is_refused_before_it_is_allocated(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(header(shape="(1048576, 1048576)"))
    os.truncate(path, len(header(shape="(1048576, 1048576)")) + 2**43)
    with pytest.raises(ResourceError, match=r"8\.0 TiB"):
        npy.load(str(path))


def test_memory_counts_in_the_dtype_we_compute_in(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.ones((10, 10), np.int8))
    monkeypatch.setattr(working, "available_memory", lambda: 799)
    with pytest.raises(ResourceError):
        npy.load(str(tmp_path / "a.npy"))
    monkeypatch.setattr(working, "available_memory", lambda: 800)
    assert npy.load(str(tmp_path / "a.npy")).shape == (10, 10)


def test_available_memory_is_a_positive_number_of_bytes():
    assert 2**20 < working.available_memory() < 2**47


def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_not_a_crash(tmp_path, monkeypatch):
    path = write(tmp_path, header(shape="(1000, 100)") + bytes(800_000))
    honest = npy.allocate

    def shrink(*args):
        os.truncate(path, 5000)
        return honest(*args)

    monkeypatch.setattr(npy, "allocate", shrink)
    with pytest.raises(InputError, match=r"got .* of 800000 bytes"):
        npy.load(path)


def test_an_item_of_a_npy_file_is_refused(tmp_path):
    path = write(tmp_path, header() + bytes(48))
    with pytest.raises(InputError, match="no item 'x'"):
        open_matrix(path + ":x")


def test_infinities_and_nan_pass_through_untouched(tmp_path):
    values = np.array([[np.nan, np.inf], [-np.inf, -0.0]])
    np.save(tmp_path / "a.npy", values)
    assert npy.load(str(tmp_path / "a.npy")).array.tobytes() == values.tobytes()


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_raises_nothing_but_a_lowrank_error(tmp_path, data):
    content = bytearray(header(shape="(3, 2)") + bytes(48))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        loaded = npy.load(write(tmp_path, bytes(content)))
    except LowrankError as error:
        assert "\n" not in str(error)
    else:
        assert loaded.array.nbytes >= 6
