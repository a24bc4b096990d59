"""Names of columns and rows: read from text or HDF5, meant in lists, told in the report, and never trusted."""

from __future__ import annotations

import io
import json

import gallery
import h5py
import numpy as np
import pytest

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.errors import InputError
from lowrank_cli.formats import names as reader

WORDS = [f"gene {i}" for i in range(12)]


@pytest.fixture
def lowrank(monkeypatch):
    """lowrank(*argv) runs the command line with the methods it really has: (exit code, output, errors)."""

    def call(*argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdout", out)
        code = run(list(argv), Terminal(out, err, None, argv))
        return code, out.getvalue(), err.getvalue()

    return call


@pytest.fixture
def matrix(tmp_path) -> str:
    np.save(tmp_path / "A.npy", gallery.with_spectrum(20, 12, gallery.poly(12), seed=1)[0])
    return str(tmp_path / "A.npy")


@pytest.fixture
def names(tmp_path) -> str:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return str(path)


def facts(result) -> dict:
    assert result[0] == 0, result[2]
    return json.loads(result[1])["method_facts"]


def chosen(lowrank, *argv) -> tuple[list[int], list[str]]:
    found = facts(lowrank("approx", *argv, "--json"))
    axis = next(iter(found["chosen"]))
    return found["chosen"][axis]["first"], found[f"{axis}_names"]


def test_the_report_tells_the_names_of_what_was_chosen(lowrank, matrix, names):
    index, told = chosen(lowrank, matrix, "--method", "id", "-k", "4", "--names", names)
    assert told == [WORDS[i] for i in index] and len(told) == 4
    table = lowrank("approx", matrix, "--method", "id", "-k", "4", "--names", names)[1]
    assert f"their names {', '.join(told)}" in " ".join(table.replace("│", "").replace("|", "").split())


def test_names_of_rows_go_with_the_rows(lowrank, matrix, tmp_path):
    path = tmp_path / "rows.txt"
    path.write_text("".join(f"cell {i}\n" for i in range(20)))
    index, told = chosen(lowrank, matrix, "--method", "id", "--axis", "rows", "-k", "4", "--names", str(path))
    assert told == [f"cell {i}" for i in index]


def test_names_are_stored_with_the_factors(lowrank, matrix, names, tmp_path):
    out = str(tmp_path / "F.npz")
    assert lowrank("approx", matrix, "--method", "id", "-k", "4", "--names", names, "-o", out)[0] == 0
    code, text, _ = lowrank("info", out, "--json")
    stored = json.loads(text)["stored"]["method_facts"]
    assert code == 0 and stored["cols_names"] == [WORDS[i] for i in stored["chosen"]["cols"]["first"]]


def test_lists_may_use_names_beside_indices_and_the_report_has_indices(lowrank, matrix, names):
    argv = ("--method", "id", "-k", "5", "--names", names, "--json")
    code, text, err = lowrank("approx", matrix, *argv, "--must-include", "gene 7, 2", "--exclude", "gene 0,3:6")
    report = json.loads(text)
    assert code == 0, err
    assert report["options"]["must_include"] == "7,2" and report["options"]["exclude"] == "0,3:6"
    index = report["method_facts"]["chosen"]["cols"]["first"]
    assert index[:2] == [7, 2] and not set(index) & {0, 3, 4, 5}


def test_a_name_that_looks_like_an_index_is_a_name(lowrank, matrix, tmp_path):
    path = tmp_path / "years.txt"
    path.write_text("".join(f"{11 - i}\n" for i in range(12)))
    argv = (matrix, "--method", "id", "-k", "3", "--names", str(path), "--must-include", "0")
    assert chosen(lowrank, *argv)[0][0] == 11


@pytest.mark.parametrize(
    ("text", "options", "code", "what"),
    [
        ("a\nb\n", (), 4, "holds 2 names, but the matrix has 12 columns"),
        ("a\n" * 20, (), 4, "the matrix has 12 columns; one name for each, or --axis rows"),
        ("a\n" * 12, ("--must-include", "a"), 2, "'a' is the name of 12 columns, 0 and 1 among them"),
        ("a\n" * 12, ("--exclude", "b"), 2, "no column is named 'b'"),
        ("a\n" * 12, ("--axis", "both"), 2, "--names with --axis both"),
        ("a\x00b\n" * 12, (), 4, "NUL"),
        ("x" * 1001 + "\n" + "a\n" * 11, (), 4, "name 0 has 1001 characters"),
    ],
)
def test_names_that_do_not_fit_are_refused(lowrank, matrix, tmp_path, text, options, code, what):
    path = tmp_path / "names.txt"
    path.write_text(text)
    result = lowrank("approx", matrix, "--method", "id", "-k", "3", "--names", str(path), *options)
    assert result[0] == code and what in result[2] and len(result[2].splitlines()) == 1


def test_names_go_with_the_method_that_chooses(lowrank, matrix, names):
    code, _, err = lowrank("approx", matrix, "-k", "3", "--names", names)
    assert code == 2 and "--names names what --method id chooses" in err


def test_a_file_of_names_is_no_output(lowrank, matrix, tmp_path):
    path = tmp_path / "names.npz"
    path.write_text("a\n" * 12)
    code, _, err = lowrank("approx", matrix, "--method", "id", "-k", "3", "--names", str(path), "-o", str(path))
    assert code == 2 and path.read_text() == "a\n" * 12, err


def test_hostile_names_are_shown_as_escapes_and_long_ones_cut(lowrank, matrix, tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("".join(f"\x1b[31mred{i}\u202e\n" if i % 2 else f"{'long' * 30}{i}\n" for i in range(12)))
    for face in ("table", "md", "tsv"):
        code, text, _ = lowrank("approx", matrix, "--method", "id", "-k", "8", "--names", str(path), "--report", face)
        assert code == 0 and "\x1b" not in text and "\u202e" not in text and "long" * 11 not in text


# Files


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb", ["a", "b"]),
        (b"\xef\xbb\xbfa\n\nb \n", ["a", "", "b "]),
        ("Größe\nκ\n".encode(), ["Größe", "κ"]),
        (b"", []),
    ],
)
def test_text_is_read_line_by_line(tmp_path, raw, wanted):
    (tmp_path / "n").write_bytes(raw)
    assert reader.read_names(str(tmp_path / "n")) == wanted


@pytest.mark.parametrize("dtype", ["S8", h5py.string_dtype(), h5py.string_dtype("utf-8", 12)], ids=str)
def test_strings_of_an_hdf5_file_are_read(tmp_path, dtype):
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file.create_dataset("g/names", data=np.array([b"one", b"two", b"three"], dtype))
    assert reader.read_names(f"{tmp_path}/n.h5:/g/names") == ["one", "two", "three"]


def test_names_of_a_file_of_gene_counts(repository):
    found = reader.read_names(f"{repository}/samples/cells_10x.h5:/matrix/features/name")
    assert len(found) == 507 and all(name and name.isprintable() for name in found)


@pytest.mark.parametrize("item", [None, "/numbers", "/square", "/nothing", "/g"])
def test_what_is_no_list_of_strings_in_an_hdf5_file_is_refused(tmp_path, item):
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file["numbers"] = np.arange(3)
        file["square"] = np.array([[b"a", b"b"]])
        file.create_group("g")
    with pytest.raises(InputError, match=r"dataset of strings|list of strings|HDF5 file"):
        reader.read_names(f"{tmp_path}/n.h5" + ("" if item is None else f":{item}"))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"Gr\xf6\xdfe\n")
    with pytest.raises(InputError, match="not UTF-8 text: byte 2"):
        reader.read_names(str(tmp_path / "latin"))
    with pytest.raises(InputError, match="no such file"):
        reader.read_names(str(tmp_path / "missing"))
    with pytest.raises(InputError, match="cannot be read"):
        reader.read_names(str(tmp_path))
    with pytest.raises(InputError, match="no HDF5 file"):
        reader.read_names(f"{tmp_path}/latin:/x")
