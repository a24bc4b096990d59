"""Matrix Market files that are wrong: refused with one line that says where."""

import gzip
import io
import subprocess
import sys

import pytest

from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import mtx, mtx_grammar, mtx_header, mtx_lines

from .mtx_read import Pipe, array, coordinate, read, refusal

BAD_VALUES = ["1,5", "1/3", "0x10", "1_000", "1 000", "1e", "1.5abc", "1.2.3", "5;", ".", "-", "+", "--1", "+-1",
              "1e+", "1e1.5", "1d", "e5", ".e5", "1e5e5", "1.5f", "1\x000", "1\x0b2", "\xb2", "1\xa02", "1-2", "0b1",
              "1j", "'1'", "%5", "1%", "1\r2", "1\r"]  # fmt: skip


@pytest.mark.parametrize("token", BAD_VALUES, ids=repr)
@pytest.mark.parametrize("kind", ["real", "integer"])
def test_b04_what_is_no_number_is_refused_with_its_line(tmp_path, token, kind):
    # a carriage return that is no part of a line end
    line = f"2 2 {token}" + ("\r" if token == "1\r" else "")
    text = coordinate("1 1 5", line, "3 3 5", kind=f"{kind} general").encode("latin-1")
    assert ": line 4: " in refusal(tmp_path, text)


@pytest.mark.parametrize("token", BAD_VALUES, ids=repr)
def test_b04_what_is_no_number_is_refused_in_an_array(tmp_path, token):
    line = token + ("\r" if token == "1\r" else "")
    assert ": line 5: " in refusal(tmp_path, array("1", "2", line, "4").encode("latin-1"))


@pytest.mark.parametrize("token", ["nan", "NaN", "-nan", "inf", "-Inf", "Infinity", "+INFINITY", "nan(0x1)", "1.#INF"])
@pytest.mark.parametrize("kind", ["real", "integer", "complex"])
def test_nan_and_inf_are_refused_by_name(tmp_path, token, kind):
    last = " 0" if kind == "complex" else ""
    message = refusal(tmp_path, coordinate(f"1 1 5{last}", f"2 2 {token}{last}", kind=f"{kind} general"))
    assert f"line 4: {'real part' if last else 'value'} {token!r} is not a finite number" in message


@pytest.mark.parametrize("token", ["1e400", "-1e400", "1D+309", "1e99999999999999999999", "1" + "0" * 400, "2e308"])
def test_b08_overflow_is_refused(tmp_path, token):
    assert "line 4: value" in refusal(tmp_path, coordinate("1 1 5", f"2 2 {token}"))
    assert "line 4: value" in refusal(tmp_path, array("1", token, "3", "4"))


def test_an_integer_beyond_float64_is_refused(tmp_path):
    assert "line 3: value" in refusal(tmp_path, coordinate("1 1 1" + "0" * 400, kind="integer general"))
    assert "line 3: value" in refusal(tmp_path, coordinate("1 1 1" + "0" * 9000, kind="integer general"))


def test_duplicates_that_sum_to_infinity_are_refused(tmp_path):
    assert "repeated entries sum" in refusal(tmp_path, coordinate("1 1 1.5e308", "1 1 1.5e308"))


@pytest.mark.parametrize("token", ["1.5", "1.0", "1e3", "1.", "2d0"])
def test_b06_a_real_value_in_an_integer_file_is_refused(tmp_path, token):
    message = refusal(tmp_path, coordinate(f"1 1 {token}", kind="integer general"))
    assert f"line 3: value {token!r} is not a whole number in an integer file; write 'real'" in message


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0 1 5", "row index '0' is not from 1 to 3; indices count from 1; is this file 0-based?"),
        ("1 0 5", "column index '0' is not from 1 to 3; indices count from 1; is this file 0-based?"),
        ("4 1 5", "row index '4' is not from 1 to 3"),
        ("1 00004 5", "column index '00004' is not from 1 to 3"),
        ("1 -1 5", "column index '-1' is not a positive whole number"),
        ("+1 1 5", "row index '+1' is not a positive whole number"),
        ("1.0 1 5", "row index '1.0' is not a positive whole number"),
        ("1e0 1 5", "row index '1e0' is not a positive whole number"),
        ("4294967297 1 5", "row index '4294967297' is not from 1 to 3"),
        ("1 18446744073709551617 5", "column index '18446744073709551617' is not from 1 to 3"),
        ("1 1" + "0" * 5000 + " 5", "column index '1000"),
        ("1 1", "2 columns where 3 are due"),
        ("1", "1 column where 3 are due"),
        ("1 1 5 6", "4 columns where 3 are due; the first too many is '6'"),
        ("1 1 5 % why", "5 columns where 3 are due; the first too many is '%'"),
        ("% a comment", "comment after the size line"),
        ("1 1 5\x00", r"value '5\x00' is not a number"),
    ],
)
def test_b02_a_wrong_entry_line_is_named(tmp_path, line, what):
    assert f": line 4: {what}" in refusal(tmp_path, coordinate("1 1 5", line, "2 2 x"))


def test_b07_extra_columns_are_refused_in_every_field(tmp_path):
    for kind, line in (("pattern", "1 1 1"), ("integer", "1 1 1 1"), ("complex", "1 1 1 1 1")):
        assert "the first too many is '1'" in refusal(tmp_path, coordinate(line, kind=f"{kind} general"))
    assert "line 3: 2 columns where 1 are due" in refusal(tmp_path, array("1 2", "3", "4", "5"))


def test_blank_lines_count_as_lines(tmp_path):
    assert ": line 8: " in refusal(tmp_path, coordinate("1 1 5", "", " ", "2 2 5", "", "3 3 x"))
    text = coordinate("1 1 5", "2 1 5", "3 3 5", kind="real symmetric").replace("\n2 1 5", "\n\n\n1 2 5\n2 1 5", 1)
    assert ": line 7: " in refusal(tmp_path, text.replace("3 3 3", "3 3 4"))


def test_the_first_of_two_faults_is_named(tmp_path):
    assert ": line 3: row index '9'" in refusal(tmp_path, coordinate("9 1 5", "1 1 x"))
    assert ": line 3: value '1e400'" in refusal(tmp_path, coordinate("1 1 1e400", "9 1 5", "1 1 1"))


@pytest.mark.parametrize("token", ["1" * 60_000 + "x", "1." + "1" * 60_000 + "x", "1e" + "1" * 60_000 + "x"])
def test_a_long_token_is_shortened_and_not_tried_in_every_way(tmp_path, token):
    # with backtracking this would take minutes
    assert f"value '{token[:35]}...' is not a number" in refusal(tmp_path, coordinate(f"1 1 {token}"))


def test_the_line_is_right_far_into_a_file_of_several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(mtx_lines, "CHUNK", 512)
    monkeypatch.setattr(mtx_grammar, "BLOCK", 128)
    lines = ["1 1 5\n" if i % 50 == 0 else "1 1 5" for i in range(1000)]
    lines[900] = "1 1 5,5"
    assert f": line {3 + 900 + 18}: value '5,5'" in refusal(tmp_path, coordinate(*lines))
    lines[900] = "4 1 5"
    assert f": line {3 + 900 + 18}: row index '4'" in refusal(tmp_path, coordinate(*lines))


def test_b01_too_few_entries_are_refused(tmp_path):
    message = refusal(tmp_path, coordinate("1 1 5", "2 2 5").replace("3 3 2", "3 3 3"))
    assert ": line 4: the file ends after 2 of the 3 entries that the size line promises; it is truncated" in message
    assert "the file ends after 2 of the 3" in refusal(tmp_path, array("1000", "2000", size="3 1"))


def test_b01_too_many_entries_are_refused_with_the_first_one(tmp_path):
    message = refusal(tmp_path, coordinate("1 1 5", "2 2 5", "", "3 3 5").replace("3 3 4", "3 3 2"))
    assert ": line 6: one entry more than the 2 that the size line promises" in message
    assert ": line 4: one entry more than the 1" in refusal(tmp_path, array("1", "2", size="1 1"))


def test_b11_entries_in_both_triangles_are_refused(tmp_path):
    kinds = {
        "real symmetric": "{} {} 5",
        "complex hermitian": "{} {} 5 1",
        "pattern symmetric": "{} {}",
        "integer skew-symmetric": "{} {} 5",
    }
    for kind, line in kinds.items():
        text = coordinate(line.format(2, 1), line.format(3, 2), line.format(1, 3), kind=kind)
        assert f": line 5: a {kind.split()[1]} file must store one triangle" in refusal(tmp_path, text)
        text = coordinate(line.format(1, 2), line.format(2, 1), line.format(1, 3), kind=kind)
        assert ": line 4: " in refusal(tmp_path, text)


@pytest.mark.parametrize("value", ["5", "0"])
def test_b12_a_skew_symmetric_diagonal_is_refused(tmp_path, value):
    text = coordinate("2 1 5", f"2 2 {value}", kind="real skew-symmetric")
    assert ": line 4: a skew-symmetric matrix stores no diagonal" in refusal(tmp_path, text)


def test_a_hermitian_diagonal_that_is_not_real_is_refused(tmp_path):
    text = coordinate("2 1 5 1", "2 2 5 1", kind="complex hermitian")
    assert ": line 4: the diagonal of a hermitian matrix is real" in refusal(tmp_path, text)
    text = array("1 0", "2 1", "3 1", "4 0", "5 5", "6 0", size="3 3", kind="complex hermitian")
    assert read(tmp_path, text.replace("5 5", "5 0")).array[2, 1] == 5
    assert ": line 6: the diagonal" in refusal(tmp_path, text.replace("4 0", "4 1"))


@pytest.mark.parametrize("symmetry", ["symmetric", "skew-symmetric", "hermitian"])
def test_b10_symmetry_needs_a_square_matrix(tmp_path, symmetry):
    kind = f"complex {symmetry}"
    for text in (coordinate("2 1 5 1", size="3 2", kind=kind), array("2 1", size="3 2", kind=kind)):
        assert f": line 2: a {symmetry} matrix must be square, not 3 x 2" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("first", "what"),
    [
        ("%%MatrixMarket vector coordinate real general", "'vector' in the banner is not supported; use matrix"),
        ("%%MatrixMarket matrix list real general", "'list' in the banner is not supported"),
        ("%%MatrixMarket matrix coordinate float general", "'float' in the banner is not supported"),
        ("%%MatrixMarket matrix coordinate real diagonal", "'diagonal' in the banner is not supported"),
        ("%%MatrixMarket matrix coordinate real", "the banner has 4 words where 5 are due"),
        ("%%MatrixMarket matrix coordinate real general x", "the banner has 6 words where 5 are due"),
        ("%%MatrixMarket matrix array pattern general", "pattern cannot be array"),
        ("%%MatrixMarket matrix coordinate pattern skew-symmetric", "pattern cannot be skew-symmetric"),
        ("%%MatrixMarket matrix coordinate pattern hermitian", "pattern cannot be hermitian"),
        ("%%MatrixMarket matrix coordinate real hermitian", "hermitian needs complex values"),
        ("%MatrixMarket matrix coordinate real general", "no Matrix Market banner"),
        ("3 3 1", "no Matrix Market banner but '3 3 1'"),
        ("", "no Matrix Market banner"),
        ("\x00\x01\x02", "no Matrix Market banner"),
        ("version https://git-lfs.github.com/spec/v1", "no Matrix Market banner"),
        ("<!DOCTYPE html>", "this is a web page"),
    ],
)
def test_b14_a_wrong_banner_is_refused(tmp_path, first, what):
    message = refusal(tmp_path, f"{first}\n3 3 1\n1 1 1\n")
    assert message.startswith(": line 1: ") and what in message


@pytest.mark.parametrize(
    ("size", "what"),
    [
        ("3 3", "the size line must hold 3 whole numbers"),
        ("3 3 1 1", "the size line must hold 3 whole numbers"),
        ("3 -3 1", "the size line must hold 3 whole numbers"),
        ("3 3 1.0", "the size line must hold 3 whole numbers"),
        ("3 +3 1", "the size line must hold 3 whole numbers"),
        ("3 3 1e0", "the size line must hold 3 whole numbers"),
        ("0 3 0", "the matrix is 0 x 3: it has no rows"),
        ("3 0 0", "the matrix is 3 x 0: it has no columns"),
        ("9223372036854775808 3 1", "more than a matrix can have"),
        ("3 340282366920938463463374607431768211456 1", "more than a matrix can have"),
        ("3 3 1" + "0" * 5000, "more than a matrix can have"),
    ],
)
def test_b18_a_wrong_size_line_is_refused(tmp_path, size, what):
    message = refusal(tmp_path, f"%%MatrixMarket matrix coordinate real general\n% c\n\n{size}\n1 1 1\n")
    assert message.startswith(": line 4: ") and what in message


def test_a_file_cut_in_its_header_is_refused(tmp_path):
    text = coordinate("1 1 5").encode()
    assert refusal(tmp_path, b"") == ": the file is empty"
    for end in range(1, text.index(b"\n3 3 1") + 1):
        assert "line" in refusal(tmp_path, text[:end])
    assert ": line 2: the file ends before the size line" in refusal(tmp_path, text[: text.index(b"\n3 3 1") + 1])


@pytest.mark.parametrize("text", [coordinate("1 1 15", "3 2 -2.5E+3"), array("1.5", "2", "3", "40")])
def test_a_file_cut_anywhere_is_refused_or_loses_digits_of_its_last_number(tmp_path, text):
    whole = text.rstrip("\n")
    last = whole.rindex("\n")
    for end in range(1, last + 1):
        assert "line" in refusal(tmp_path, text[:end])


def assert_refused_by_size(tmp_path, text: str, need: str, pack) -> None:
    path = tmp_path / "m.mtx"
    path.write_bytes(pack(text.encode()))
    # a compressed file could hold ten entries: that it does not shows at its end
    with pytest.raises(InputError, match="size line promises") as caught:
        mtx.load(str(path))
    assert need in str(caught.value)
    with pytest.raises((InputError, ResourceError)):
        mtx.load_stream(io.BufferedReader(Pipe(pack(text.encode()))), "-")


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("%%MatrixMarket matrix coordinate real general\n3 3 100000000000\n1 1 1\n", "100000000000 entries"),
        ("%%MatrixMarket matrix coordinate pattern general\n3 3 10\n1 1\n", "10 entries"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_b16_more_entries_than_the_file_can_hold_are_refused_before_anything_is_allocated(tmp_path, text, need, pack):
    assert_refused_by_size(tmp_path, text, need, pack)


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("%%MatrixMarket matrix array real general\n100000 1000000\n1\n", "100000000000 entries"),
        ("%%MatrixMarket matrix array real symmetric\n4294967296 4294967296\n1\n", "promises 9223372039002259456"),
        ("%%MatrixMarket matrix array real general\n9223372036854775807 9223372036854775807\n1\n", "entries"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_b17_a_dense_array_larger_than_its_file_is_refused_before_anything_is_allocated(tmp_path, text, need, pack):
    assert_refused_by_size(tmp_path, text, need, pack)


def test_b15_a_row_pointer_that_memory_cannot_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lowrank_cli.formats.working.available_memory", lambda: 15_000_000_000)
    message = refusal(tmp_path, coordinate("1 1 5", size="1000000000 1000000000"), ResourceError)
    assert "1000000000 x 1000000000" in message and "14.9 GiB" in message and "14.0 GiB" in message
    read(tmp_path, coordinate("1 1 5", size="100 100"))


def test_the_estimate_of_memory_covers_what_is_kept():
    header = mtx_header.Header("coordinate", "real", "general", 10, 10, 50)
    assert header.memory(50, 8) == 50 * 12 + 11 * 4
    assert mtx_header.Header("array", "complex", "general", 10, 20, 200).memory(200, 16) == 3200


def test_an_item_name_is_refused(tmp_path):
    path = tmp_path / "m.mtx"
    path.write_text(coordinate("1 1 5"))
    with pytest.raises(InputError, match="holds one matrix"):
        mtx.load(str(path), "A")


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_a_missing_file_or_a_directory_is_refused(tmp_path, make):
    path = tmp_path / "m.mtx"
    make(path)
    for call in (mtx.items, mtx.load):
        with pytest.raises(InputError, match="cannot be opened"):
            call(str(path))


def test_a_failing_disk_is_an_input_error():
    class Broken(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match="cannot be read: Input/output error"):
        mtx.load_stream(Broken(), "-")


def test_an_early_end_inside_the_fast_reader_does_not_crash_the_process(tmp_path):
    """A reader in C++ behind a stream that stops: any crash would take the whole process."""
    script = """
import sys
from lowrank_cli.errors import InputError
from lowrank_cli.formats import mtx
for path in sys.argv[1:]:
    try:
        mtx.load(path)
    except InputError:
        print("refused")
"""
    cases = [coordinate("1 1 5", "x"), coordinate("x"), array("1", "2", "x", "4"), array("x", "2", "3", "4"),
             coordinate(""), array("", size="1 1"), coordinate("1 1 5", "4 4 4")]  # fmt: skip
    paths = []
    for number, text in enumerate(cases):
        paths.append(str(tmp_path / f"{number}.mtx"))
        (tmp_path / f"{number}.mtx").write_text(text + "\n" * 20)
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["refused"] * len(cases)), done.stderr
