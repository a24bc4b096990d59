"""Tables of text: every number is float() of its field, what is taken for names is said, and a wrong field is named."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import mtx_lines, sources, text_lines, text_values, working
from lowrank_cli.formats.opening import list_items, open_matrix
from lowrank_cli.formats.text import load_stream
from lowrank_cli.formats.text_layout import find_layout

A = np.random.default_rng(7).standard_normal((12, 4))


def read(content: bytes | str):
    return load_stream(io.BytesIO(content.encode() if isinstance(content, str) else content), "table")


def refusal(content: bytes | str) -> str:
    with pytest.raises(InputError) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(rows, delimiter: str, names=None, labels=None) -> str:
    lines = [[repr(float(value)) for value in row] for row in rows]
    if labels is not None:
        lines = [[label, *line] for label, line in zip(labels, lines, strict=True)]
    if names is not None:
        lines = [list(names), *lines]
    return "".join(delimiter.join(line) + "\n" for line in lines)


# --- layouts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", "   ", ", ", " ;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_every_delimiter_line_end_and_ending_gives_the_same_bits(delimiter, end, last):
    text = written(A, delimiter).replace("\n", end)
    loaded = read(text if last else text.removesuffix(end))
    assert (
        loaded.array.tobytes() == A.tobytes() and loaded.notes == () and loaded.names.rows is loaded.names.cols is None
    )


def test_a_longer_first_line_of_numbers_is_no_line_of_names():
    assert "line 1, column 1: '1,2' is no number" in refusal("1,2\n3\n")
    assert read('"1,2"\n3\n').array.tolist() == [[3.0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("corner", ["", "rownames", "gene", None])
def test_names_and_labels_are_kept_and_said(delimiter, corner):
    if delimiter == " " and corner == "":
        pytest.skip("nothing at the front of a line of spaces is no field")
    names, labels = ["a", "b", "c d", "e"], [f"row{k}" for k in range(12)]
    if delimiter == " ":
        names[2] = "cd"
    top = names if corner is None else [corner, *names]
    loaded = read(written(A, delimiter, top, labels))
    assert loaded.array.tobytes() == A.tobytes()
    assert loaded.names.cols == tuple(names) and loaded.names.rows == tuple(labels)
    said = " / ".join(loaded.notes)
    assert "line 1 is taken as the names of the columns" in said and "names of the rows" in said


@pytest.mark.parametrize(
    ("text", "rows", "cols", "values"),
    [
        ("a,b\n1,2\n", None, ("a", "b"), [[1, 2]]),
        ('"a","b"\n1,2\n', None, ("a", "b"), [[1, 2]]),
        ('"1","2"\n3,4\n', None, ("1", "2"), [[3, 4]]),
        ('"1","2"\n"3","4"\n', None, None, [[1, 2], [3, 4]]),
        ("x,1,2\ny,3,4\n", ("x", "y"), None, [[1, 2], [3, 4]]),
        (",0,1\n0,5,6\n1,7,8\n", ("0", "1"), ("0", "1"), [[5, 6], [7, 8]]),
        ("rownames,u\n1,5\n2,6\n", ("1", "2"), ("u",), [[5], [6]]),
        ("year,u\n1,5\n2,6\n", None, ("year", "u"), [[1, 5], [2, 6]]),
        ("u v\nr1 1 2\n2 3 4\n", ("r1", "2"), ("u", "v"), [[1, 2], [3, 4]]),
        ('"u" "v"\n"r 1" 1 2\n"r 2" 3 4\n', ("r 1", "r 2"), ("u", "v"), [[1, 2], [3, 4]]),
        ('a,"b, c"\n1,2\n', None, ("a", "b, c"), [[1, 2]]),
        ('"say ""hi""",b\n1,2\n', None, ('say "hi"', "b"), [[1, 2]]),
        ("5.1,3.5,setosa\n4.9,3.0,virginica\n", None, None, [[5.1, 3.5], [4.9, 3.0]]),
        ("s,p,kind\n5.1,3.5,setosa\n", None, ("s", "p"), [[5.1, 3.5]]),
        ("# a comment\n\n1 2\n3 4\n\n\n", None, None, [[1, 2], [3, 4]]),
        ("\ufeff1;2\n3;4\n", None, None, [[1, 2], [3, 4]]),
        ("7\n8\n", None, None, [[7], [8]]),
        ("v\n7\n8", None, ("v",), [[7], [8]]),
        ("1,2,3", None, None, [[1, 2, 3]]),
        ('g\t"a b"\tc\n"r 1"\t1\t2\n', ("r 1",), ("a b", "c"), [[1, 2]]),
        ('"1" , 2 ,"3"\n4,5,6\n', None, None, [[1, 2, 3], [4, 5, 6]]),
        ("name;a\nx,y;1\nz;2\n", ("x,y", "z"), ("a",), [[1], [2]]),
    ],
)
def test_layouts_by_example(text, rows, cols, values):
    loaded = read(text)
    assert loaded.array.tolist() == values
    assert loaded.names.rows == rows and loaded.names.cols == cols


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,4,5\n", "line 1 has 2 fields and the next one 3 fields"),
        ("1,2\n3,4\n5,6,7\n", "line 3 has 3 fields, not 2"),
        ("1 2\n3 4\n5\n", "line 3 has 1 fields, not 2"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, not 2"),
        ("a,b,c\n1,2,3\n4,,6\n", "line 3, column 2 ('b'): the field is empty"),
        ("g,b,c\nx,2,3\ny,4,NA\n", "line 3, column 3 ('c'): missing value 'NA'"),
        ("1,2\n3,nan\n", "line 2, column 2: missing value 'nan'"),
        ("1,2,\n3,4,\n", "line 1, column 3: the field is empty"),
        (",2,3\n4,5,6\n", "line 1, column 1: the field is empty"),
        ("1,2\n-inf,4\n", "line 2, column 1: '-inf' is infinite"),
        ("1,2\n1e400,4\n", "line 2, column 1: '1e400' is beyond float64"),
        ("1;2,5\n3;4,5\n", "a decimal comma is not read"),
        ("1,2\n3,x\n4,5\n", "line 2, column 2: 'x' is no number"),
        ("1,2\n3,0x10\n4,5\n", "line 2, column 2: '0x10' is no number"),
        ("1,2\n3,1_000\n4,5\n", "no number"),
        ("1,2\n3,1d5\n4,5\n", "no number"),
        ("1,2\n3,1e\n4,5\n", "no number"),
        ("1,2\n3,4 5\n", "'4 5' is no number"),
        ("1,2\n3,(1+2j)\n4,5\n", "complex numbers are read from"),
        ('"r""1",,2\n"q",3,4\n', "line 1, column 2: the field is empty"),
        ('"r1"\t\t"2"\n"q"\t3\t4\n', "field 2 is ''"),
        ('"q"\t3\t4\n"r1"\t\t"2"\n', "line 2, column 2: the field is empty"),
        ('"r1",2,\n"q",3,4\n', "line 1, column 3: the field is empty"),
        ("1,2\n\n3,4\n", "line 2 is empty"),
        ("1\n2\n\n\n5\n", "line 3 is empty"),
        ("a,b\n", "nothing follows"),
        ("a,,c\n1,2,3\n", "field 2 is ''"),
        ("150,4,setosa,virginica\n1,2,3,4\n", "neither names nor numbers"),
        ("x,1\n2,3\n", "line 2, column 1: '2' is a number in a column of text"),
        ("a,b\nx,y\n", "line 2, column 2 ('b'): 'y' is no number"),
        ("1;0x1F\n3;4\n", "'0x1F' is no number"),
        ("a,b,c\n1,x,2\n", "line 2, column 2 ('b'): 'x' is no number"),
        ('1,2\n3,"4\n5"\n', "quotes that do not enclose"),
        ('1,2\n3,4"5\n', "quotes that do not enclose"),
        ("hello\n", "holds no number"),
        ("", "no numbers"),
        ("#\n#\n", "no numbers"),
        (b"\xff\xfe1\x00", "UTF-16"),
        (b"1,2\n3,\x004\n", "no text"),
        ("3 3 2\n1 1 5\n2 3 6.5\n", "put the line '%%MatrixMarket"),
    ],
)
def test_b22_what_is_no_clean_table_is_refused_with_its_place(text, words):
    assert words in refusal(text)


def test_three_columns_that_only_begin_like_triplets_are_a_table():
    assert read("3 3 2\n1 1 5\n2 4 6.5\n").shape == (3, 3)
    assert read("3 3 3\n1 1 5\n2 3 6.5\n").shape == (3, 3)


def test_a_wrong_field_far_behind_is_named_with_its_own_line(monkeypatch):
    monkeypatch.setattr(text_lines, "CHUNK", 1000)
    lines = [f"{k},{k + 0.5}" for k in range(5000)]
    lines[4321] = "1,NA"
    assert "line 4322, column 2: missing value 'NA'" in refusal("\n".join(lines))
    lines[4321] = "1,2,3"
    assert "line 4322 has 3 fields" in refusal("\n".join(lines))
    lines[4321] = ""
    assert "line 4322 is empty" in refusal("\n".join(lines))


# --- numbers ------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
STYLES = st.sampled_from(["{!r}", "{:+.17e}", "{:.17g}", "{:E}", "{:.3f}", ".5e-310", "+1.", "-.5", "007"])


@given(st.lists(st.tuples(NUMBERS, STYLES), min_size=6, max_size=6), st.sampled_from(",;\t "), st.booleans())
def test_every_number_is_pythons_float_of_its_field_fast_or_exact(pairs, delimiter, quoted):
    fields = [style.format(value) for value, style in pairs]
    marked = [f'"{field}"' if quoted and k % 2 else field for k, field in enumerate(fields)]
    loaded = read("\n".join(delimiter.join(marked[at : at + 2]) for at in (0, 2, 4)) + "\n")
    assert loaded.array.reshape(-1).tobytes() == np.array([float(field) for field in fields]).tobytes()


def test_the_fast_way_and_the_exact_way_agree_and_the_fast_way_is_taken():
    text = written(A, ",", ["g", "a", "b", "c", "d"], [f"r{k}" for k in range(12)]).encode()
    lines = text.splitlines()
    values = text_values.Values(find_layout([(1, lines[0]), (2, lines[1])], "t"), "t")
    fast, exact = values._fast(lines[1:], 2), values._exact(lines[1:], 2)
    assert fast is not None and fast.tobytes() == exact.tobytes() == A.tobytes()
    assert values.labels[:12] == values.labels[12:]


def test_numbers_too_small_for_float64_are_counted():
    assert read("1,2e-400\n0e-999,1e-5000\n").notes == ("2 values are too small for float64 and read as 0",)


# --- through files, packers and pipes -----------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [lambda x: x, gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.bz2", "a", "a.npy.gz"])
def test_content_is_found_through_a_packer_whatever_the_name(tmp_path, pack, name):
    path = tmp_path / name
    for content, format in (
        (written(A, ",", ["a", "b", "c", "d"]).encode(), "text"),
        (
            b"%%MatrixMarket matrix array real general\n12 4\n" + "\n".join(map(repr, A.T.ravel().tolist())).encode(),
            "mtx",
        ),
        (_npy(A), "npy"),
    ):
        path.write_bytes(pack(content))
        loaded = open_matrix(str(path))
        assert loaded.format == format and (loaded.array == A).all() and loaded.source == str(path)
        assert list_items(str(path))[1][0].shape == (12, 4)


def _npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_b19_packed_data_of_several_members_are_joined_and_damage_is_named(tmp_path, pack):
    path = tmp_path / "a.csv"
    first, second = (written(half, ",").encode() for half in (A[:6], A[6:]))
    path.write_bytes(pack(first) + pack(second))
    assert (open_matrix(str(path)).array == A).all()
    whole = pack(first + second)
    for damaged in (whole[:-3], whole[:60], whole + b"junk", whole[:50] + b"\xff\xff\xff" + whole[53:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="packed data"):
            open_matrix(str(path))


@pytest.mark.parametrize("packed", [1, 2, 7])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_b19_members_of_any_length_are_joined_wherever_they_are_cut(tmp_path, pack, packed, monkeypatch):
    monkeypatch.setattr(sources, "PACKED", packed)
    monkeypatch.setattr(mtx_lines, "PACKED", packed)
    for name, text in (
        ("a.csv", b"1,2\n3,4\n"),
        ("a.mtx", b"%%MatrixMarket matrix array real general\n2 2\n1\n3\n2\n4\n"),
    ):
        members = [pack(text[at : at + 3]) + pack(b"") for at in range(0, len(text), 3)]
        path = tmp_path / f"{name}.{'gz' if pack is gzip.compress else 'bz2'}"
        path.write_bytes(b"".join(members))
        assert open_matrix(str(path)).array.tolist() == [[1, 2], [3, 4]]


def test_a_bomb_behind_bzip2_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ALLOWANCE", 0)
    path = tmp_path / "a.csv.bz2"
    path.write_bytes(bz2.compress(b"1," * (1 << 18)))
    with pytest.raises(InputError, match="expand more than"):
        open_matrix(str(path))


def test_a_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(text_lines, "LINE_CAP", 10000)
    monkeypatch.setattr(text_lines, "CHUNK", 1000)
    assert "line 3 is longer" in refusal("1\n2\n" + "1," * 50000)


@contextlib.contextmanager
def within(seconds: float):
    """Processor time, of which other work on the machine takes none: a limit between the length and its square."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds


@pytest.mark.parametrize("filling", ["a" + " " * 300_000 + "b", " " * 300_000, "1," * 150_000 + "x", '""' * 150_000])
@pytest.mark.parametrize("delimiter", [",", "\t", " "])
def test_a_long_line_with_quotes_costs_its_length_and_not_its_square(filling, delimiter):
    with within(5):
        assert refusal(f'1{delimiter}2\n"{filling}"{delimiter}{filling}\n')


@pytest.mark.parametrize("line", ["#\n", "\n"])
def test_lines_in_front_of_a_table_cost_their_length_and_not_its_square(line):
    with within(5):  # squared: half a minute
        assert read(line * 1_000_000 + "1,2\n3,4\n").shape == (2, 2)


def test_spaces_in_front_of_a_wrong_quote_cost_their_length_and_not_its_square():
    with within(5):  # squared: a quarter of an hour
        assert "do not enclose" in refusal("1,2\n3," + " " * 300_000 + 'a"\n')


def test_a_field_in_quotes_takes_a_few_times_its_length_of_memory():
    text = b'a,b\n"' + b"x" * (1 << 20) + b'",2\n'
    tracemalloc.start()
    load_stream(io.BytesIO(text), "f")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 * len(text)


@pytest.mark.parametrize("mark", [",", "\t", " "])
def test_a_line_of_more_fields_than_memory_holds_is_refused(mark, monkeypatch):
    monkeypatch.setattr(working, "available_memory", lambda: 100_000)
    line = mark.join("1" * 1000) + "\n"
    with pytest.raises(ResourceError, match="a line of 1000 fields"):
        read(line * 2)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_table_is_the_same_in_whatever_parts_it_comes(step, monkeypatch):
    text = ("# c\n\n" * 3 + "a,b,c\r\n" + "1,2,x\n3,4.5,y\r\n" * 20).encode()
    whole = load_stream(io.BytesIO(text), "f")
    monkeypatch.setattr(text_lines, "CHUNK", step)
    parts = load_stream(io.BytesIO(text), "f")
    assert (whole.array == parts.array).all() and (whole.names, whole.notes) == (parts.names, parts.notes)


@pytest.mark.parametrize("last", ["5", '"5"', " 5 ", "4e-3"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_number_in_a_last_column_of_text_is_refused_and_not_left_out(last, mark):
    lines = [mark.join(("1", "2", "abc")), mark.join(("3", "4", last)), ""]
    assert "is a number in a column of text" in refusal("\n".join(lines))


def test_a_long_field_that_is_no_number_costs_its_length_and_not_its_square():
    # 300 000 digits and a letter: squared, 45 thousand million steps
    assert "is no number" in refusal("1,2\n3," + "1" * 300_000 + "x\n")


def test_no_item_can_be_named(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with pytest.raises(InputError, match="no item 'x'"):
        open_matrix(f"{tmp_path / 'a.csv'}:x")


def test_the_covariance_of_stocks_has_the_same_names_on_both_sides(data):
    names = open_matrix(str(data("cov_matrix.csv"))).names
    assert names.rows == names.cols and names.rows is not None and names.rows[:2] == ("AAPL", "ABT")
