"""Matrix Market files that are in order, and what they mean."""

import gzip
import io

import numpy as np
import pytest
import scipy.sparse

from lowrank_cli.formats import mtx, mtx_entries, mtx_grammar, mtx_lines

from .mtx_read import array, coordinate, dense, read


def test_a_coordinate_file_becomes_a_canonical_csr_array(tmp_path):
    loaded = read(tmp_path, coordinate("3 1 2.5", "1 3 -1", "1 1 4", size="3 4"))
    assert isinstance(loaded.array, scipy.sparse.csr_array)
    assert loaded.array.has_canonical_format and loaded.array.dtype == np.float64
    assert loaded.array.indices.tolist() == [0, 2, 0] and loaded.array.indptr.tolist() == [0, 2, 2, 3]
    assert loaded.array.data.tolist() == [4, -1, 2.5] and loaded.shape == (3, 4)
    assert (loaded.item.dtype, loaded.item.nnz) == ("float64", 3) and loaded.notes == ()
    assert loaded.item.detail == "coordinate real general, 3 stored" and loaded.item.path is None


def test_an_array_file_becomes_a_fortran_ordered_array(tmp_path):
    loaded = read(tmp_path, array("1", "2", "3", "4", "5", "6", size="2 3"))
    assert loaded.array.flags.f_contiguous and not loaded.array.flags.c_contiguous
    assert loaded.array.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert (loaded.item.nnz, loaded.item.detail, loaded.item.bytes) == (None, "array real general", 48)


@pytest.mark.parametrize(
    ("field", "line", "value", "dtype"),
    [
        ("real", "2 1 -2.5e1", -25, "float64"),
        ("double", "2 1 7", 7, "float64"),
        ("integer", "2 1 -7", -7, "int64"),
        ("unsigned-integer", "2 1 18446744073709551615", 18446744073709551615.0, "int64"),
        ("complex", "2 1 1.5 -2", 1.5 - 2j, "complex128"),
        ("pattern", "2 1", 1, "bool"),
    ],
)
def test_b13_every_field_is_read(tmp_path, field, line, value, dtype):
    loaded = read(tmp_path, coordinate(line, size="2 2", kind=f"{field} general"))
    assert dense(loaded).tolist() == [[0, 0], [value, 0]]
    assert loaded.array.dtype == (np.complex128 if field == "complex" else np.float64)
    assert loaded.item.dtype == dtype


def test_a_pattern_file_says_that_it_is_read_as_ones(tmp_path):
    assert "read as 1" in read(tmp_path, coordinate("1 1", kind="pattern general")).notes[0]


@pytest.mark.parametrize(
    ("kind", "lines", "matrix"),
    [
        ("real symmetric", ("1 1 1", "2 1 2"), [[1, 2], [2, 0]]),
        ("real skew-symmetric", ("2 1 2",), [[0, -2], [2, 0]]),
        ("complex symmetric", ("2 1 1 2",), [[0, 1 + 2j], [1 + 2j, 0]]),
        ("complex hermitian", ("1 1 3 0", "2 1 1 2"), [[3, 1 - 2j], [1 + 2j, 0]]),
        ("complex skew-symmetric", ("2 1 1 2",), [[0, -1 - 2j], [1 + 2j, 0]]),
        ("integer symmetric", ("2 1 5",), [[0, 5], [5, 0]]),
        ("pattern symmetric", ("2 1",), [[0, 1], [1, 0]]),
    ],
)
def test_b13_the_other_triangle_is_filled_in(tmp_path, kind, lines, matrix):
    loaded = read(tmp_path, coordinate(*lines, size="2 2", kind=kind))
    assert dense(loaded).tolist() == matrix
    assert loaded.item.nnz == np.count_nonzero(matrix) and f"{len(lines)} stored" in loaded.item.detail


@pytest.mark.parametrize(
    ("kind", "lines", "matrix"),
    [
        ("real symmetric", "123456", [[1, 2, 3], [2, 4, 5], [3, 5, 6]]),
        ("real skew-symmetric", "123", [[0, -1, -2], [1, 0, -3], [2, 3, 0]]),
        ("integer symmetric", "123456", [[1, 2, 3], [2, 4, 5], [3, 5, 6]]),
    ],
)
def test_an_array_file_stores_the_lower_triangle_by_columns(tmp_path, kind, lines, matrix):
    assert read(tmp_path, array(*lines, size="3 3", kind=kind)).array.tolist() == matrix


def test_a_hermitian_array_is_conjugated(tmp_path):
    loaded = read(tmp_path, array("1 0", "2 3", "4 0", kind="complex hermitian"))
    assert loaded.array.tolist() == [[1, 2 - 3j], [2 + 3j, 4]]


@pytest.mark.parametrize("field", ["real", "complex"])
def test_a_skew_symmetric_1_by_1_array_has_no_entries_and_is_zero(tmp_path, field):
    assert read(tmp_path, array(size="1 1", kind=f"{field} skew-symmetric")).array.tolist() == [[0]]


@pytest.mark.parametrize("kind", ["real general", "real symmetric", "pattern symmetric", "complex hermitian"])
def test_a_matrix_without_entries_is_zero(tmp_path, kind):
    loaded = read(tmp_path, coordinate(kind=kind))
    assert loaded.shape == (3, 3) and loaded.item.nnz == 0 and loaded.array.has_canonical_format


def test_b11_an_upper_triangle_is_mirrored_and_said(tmp_path):
    loaded = read(tmp_path, coordinate("1 1 5", "1 2 3", size="2 2", kind="real symmetric"))
    assert dense(loaded).tolist() == [[5, 3], [3, 0]] and "upper triangle" in loaded.notes[0]


def test_a_lower_triangle_is_not_worth_a_note(tmp_path):
    assert read(tmp_path, coordinate("1 1 5", "2 1 3", kind="real symmetric")).notes == ()


def test_b09_duplicates_are_summed_and_counted(tmp_path):
    loaded = read(tmp_path, coordinate("1 1 5", "2 2 1", "1 1 3", "1 1 0.5"))
    assert dense(loaded)[0, 0] == 8.5 and loaded.item.nnz == 2
    assert loaded.notes == ("2 entries repeat the position of another one; they were summed",)


def test_explicit_zeros_are_kept(tmp_path):
    loaded = read(tmp_path, coordinate("1 1 0", "2 2 -0.0"))
    assert loaded.item.nnz == 2 and loaded.notes == () and np.signbit(loaded.array.data).tolist() == [False, True]


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.replace(b"\n", b"\r\n"),
        lambda t: b"\xef\xbb\xbf" + t,
        lambda t: t.replace(b"\n", b"\n\n"),
        lambda t: t.replace(b"\n", b"\n \t\n"),
        lambda t: t.rstrip(b"\n"),
        lambda t: t.replace(b"\n", b"\r\n").rstrip(b"\n"),
        lambda t: t + b"\n\n   \n",
        lambda t: t.replace(b" 2", b" \t  2").replace(b"\n", b"  \n"),
        lambda t: t.replace(b"\n1", b"\n \t 1"),
        lambda t: t.replace(b"\n", b"\n% a comment, \xc3\xa9\n%\n", 1),
        lambda t: t.replace(b"%%MatrixMarket matrix ", b"%%matrixmarket MATRIX\t ").replace(b"real", b"REAL "),
        lambda t: gzip.compress(t),
        lambda t: gzip.compress(t[:60]) + gzip.compress(t[60:]) + gzip.compress(b""),
    ],
    ids=["crlf", "bom", "blank lines", "blanks in blank lines", "no final newline", "crlf cut", "blank end", "wide",
         "indented", "comments", "case", "gzip", "gzip members"],
)  # fmt: skip
def test_b14_harmless_spellings_change_nothing(tmp_path, edit):
    text = coordinate("1 2 3.5", "12 2 -2e-1", "1 1 7", size="12 12").encode()
    assert dense(read(tmp_path, edit(text))).tolist() == dense(read(tmp_path, text)).tolist()


@pytest.mark.parametrize(
    ("token", "value"),
    [("1.5D+3", 1500.0), ("1.5d3", 1500.0), ("-2D-1", -0.2), ("5.", 5.0), ("-.5E+1", -5.0),
     ("1.e5", 1e5), ("007", 7.0), ("1e0005", 1e5), ("1E-05", 1e-5), ("0e999999999999", 0.0)],
)  # fmt: skip
def test_b03_spellings_of_numbers_that_are_accepted(tmp_path, token, value):
    loaded = read(tmp_path, coordinate(f"1 1 {token}"))
    assert loaded.array.data.tolist() == [value] and loaded.notes == ()
    assert read(tmp_path, array(*[token] * 4)).array.tolist() == [[value] * 2] * 2


@pytest.mark.parametrize(("token", "value"), [("+5", 5.0), ("+.5", 0.5), ("+1e+2", 100.0), ("+1D+2", 100.0)])
def test_b05_a_plus_sign_is_accepted(tmp_path, token, value):
    assert read(tmp_path, coordinate(f"1 1 {token}")).array.data.tolist() == [value]


@pytest.mark.parametrize(
    "token",
    ["1e-400", "-1D-400", "1e-99999999999999999999", "0." + "0" * 400 + "1", "0." + "0" * 250 + "1e-99", "1e-0400",
     "123e-400"],
)  # fmt: skip
def test_b08_underflow_is_read_as_zero_and_counted(tmp_path, token):
    loaded = read(tmp_path, coordinate(f"1 1 {token}", "2 2 0e-400", "3 3 1e-300", "1 3 4e-320"))
    assert loaded.array.data.tolist()[::3] == [0, 1e-300] and loaded.array.data[1] == 4e-320
    assert loaded.notes == ("1 value is too small for float64 and read as 0",)


def test_underflow_is_counted_in_imaginary_parts(tmp_path):
    loaded = read(tmp_path, coordinate("1 1 1e-400 1e-400", "1 2 1e-400 0", kind="complex general"))
    assert loaded.notes == ("3 values are too small for float64 and read as 0",)


@pytest.mark.parametrize(
    ("token", "lost"),
    [(2**53, 0), (2**53 + 1, 1), (-(2**53) - 1, 1), (2**60, 0), (2**63 - 1, 1), (2**64, 0), (10**30, 1), (10**22, 0),
     (10**300, 1), ("0000000000000000000000012", 0), ("+9007199254740993", 1)],
)  # fmt: skip
def test_b21_integers_that_float64_rounds_are_counted(tmp_path, token, lost):
    loaded = read(tmp_path, coordinate(f"1 1 {token}", "1 2 5", kind="integer general"))
    assert loaded.array.data.tolist() == [float(int(token)), 5.0]
    assert len(loaded.notes) == lost and all("1 value is not exact in float64" in note for note in loaded.notes)


def test_items_reads_the_header_alone(tmp_path):
    path = tmp_path / "m.mtx"
    path.write_text("%%MatrixMarket matrix coordinate real symmetric\n% c\n4 4 3\nno entries here\n")
    (item,) = mtx.items(str(path))
    assert (item.shape, item.dtype, item.nnz) == ((4, 4), "float64", 3)
    assert item.detail == "coordinate real symmetric, 3 stored"


@pytest.mark.parametrize("size", [4, 7, 64, 1000])
def test_where_the_text_is_cut_changes_nothing(tmp_path, monkeypatch, size):
    lines = [f"{i % 97 + 1}  {i % 89 + 1} {'+' * (i % 3 == 0)}{i * 1.25e-3!r}\r" for i in range(400)]
    text = coordinate(*lines, size="97 89").encode()
    whole = dense(read(tmp_path, text))
    monkeypatch.setattr(mtx_lines, "CHUNK", size)
    monkeypatch.setattr(mtx_grammar, "BLOCK", size)
    assert (dense(read(tmp_path, text)) == whole).all()
    assert (dense(read(tmp_path, gzip.compress(text))) == whole).all()


def test_a_good_file_is_read_in_one_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(mtx, "read_exact", None)
    path = tmp_path / "m.mtx"
    path.write_text(coordinate("2 1 5", "3 1 6", kind="real symmetric"))
    assert mtx.load(str(path)).item.nnz == 4


def test_reading_starts_where_the_stream_stands():
    text = coordinate("1 1 5", "2 1 x").encode()
    stream = io.BytesIO(b"skipped" + text)
    stream.seek(7)
    with pytest.raises(ValueError, match="line 4: value 'x'"):
        mtx.load_stream(stream, "-")


def test_an_interrupt_inside_the_reader_is_not_swallowed(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    path = tmp_path / "m.mtx"
    path.write_text(coordinate("1 1 5"))
    monkeypatch.setattr(mtx_entries, "scan", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mtx.load(str(path))


@pytest.mark.parametrize(
    ("head", "name", "yes"),
    [
        (b"%%MatrixMarket matrix", "x", True),
        (b"\xef\xbb\xbf%%matrixmarket matrix", "x.txt", True),
        (gzip.compress(b"%%MatrixMarket matrix array real general\n", mtime=0), "x", True),
        (gzip.compress(b"something else", mtime=0), "x", False),
        (b"1 1 5\n", "X.MTX", True),
        (b"\x93NUMPY\x01\x00", "x.mtx", False),
        (b"1 1 5\n", "x.txt", False),
        (b"", "x", False),
    ],
)
def test_a_file_is_known_by_its_banner_then_by_its_name(head, name, yes):
    assert mtx.FORMAT.matches(head, name) is yes
