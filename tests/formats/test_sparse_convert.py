"""A sparse matrix too large for memory becomes a stored .npz of the bytes that it would have given in memory."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
import scipy.io
from scipy import sparse

from lowrank_cli.errors import InputError, OutputError, ResourceError
from lowrank_cli.formats import mtx, mtx_sorted, opening, sparse_writer
from lowrank_cli.formats.loaded import Loaded


def text(path, field="real", symmetry="general", n=300, m=400, entries=4000, repeats=200, seed=0):
    """A Matrix Market file whose entries stand in no order, some of them twice or more."""
    rng = np.random.default_rng(seed)
    m = n if symmetry != "general" else m
    rows, cols = rng.integers(0, m, entries), rng.integers(0, n, entries)
    again = rng.integers(0, entries, repeats)
    rows, cols = np.append(rows, rows[again]), np.append(cols, cols[again])
    if symmetry != "general":
        rows, cols = np.maximum(rows, cols), np.minimum(rows, cols)
    if symmetry == "skew-symmetric":
        rows, cols = rows[rows != cols], cols[rows != cols]
    lines = []
    for i, j in zip(rows.tolist(), cols.tolist(), strict=True):
        imaginary = 0.0 if symmetry == "hermitian" and i == j else rng.standard_normal()
        value = (
            {
                "real": f" {rng.standard_normal()!r}",
                "complex": f" {rng.standard_normal()!r} {imaginary!r}",
                "integer": f" {rng.integers(-9, 9)}",
                "pattern": "",
            }[field]
            .replace("np.float64(", "")
            .replace(")", "")
        )
        lines.append(f"{i + 1} {j + 1}{value}\n")
    head = f"%%MatrixMarket matrix coordinate {field} {symmetry}\n{m} {n} {len(lines)}\n"
    path.write_text(head + "".join(lines))
    return str(path)


def in_memory(path, target):
    found = opening.open_rows(path, None, target)
    assert isinstance(found, Loaded)
    rows = sparse_writer.rows_of(found)
    sparse_writer.write(rows, target)
    return rows.notes


@pytest.mark.parametrize("most", [100, 60_000])
@pytest.mark.parametrize(
    ("field", "symmetry"),
    [
        *(("real", kind) for kind in ("general", "symmetric", "skew-symmetric")),
        ("complex", "hermitian"),
        ("integer", "general"),
        ("pattern", "symmetric"),
    ],
)
def test_text_in_any_order_gives_the_bytes_of_the_conversion_in_memory(field, symmetry, most, tmp_path):
    path = text(tmp_path / "A.mtx", field, symmetry)
    notes = in_memory(path, str(tmp_path / "one.npz"))
    rows = mtx_sorted.rows(path, None, most, str(tmp_path / "two.npz"))
    sparse_writer.write(rows, str(tmp_path / "two.npz"))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert sorted(notes) == sorted(rows.notes) and any("summed" in note for note in notes)
    assert sorted(os.listdir(tmp_path)) == ["A.mtx", "one.npz", "two.npz"]


def test_scipy_reads_what_was_written_and_so_do_we(tmp_path):
    path, target = text(tmp_path / "A.mtx"), str(tmp_path / "A.npz")
    in_memory(path, target)
    expected = mtx.load(path).array
    for found in (sparse.csr_array(sparse.load_npz(target)), opening.open_matrix(target).array):
        for part in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(found, part), getattr(expected, part))
    assert np.load(target)["indices"].dtype == np.int32


def test_a_matrix_that_fits_is_not_sorted_on_disk(tmp_path):
    path = text(tmp_path / "A.mtx")
    with mtx.opened(path) as file:
        need = mtx.read_header(mtx.Lines(file, path)).reading + (32 << 20)
    assert mtx_sorted.rows(path, None, need // 2, path) is None
    assert mtx_sorted.rows(path, None, need // 2 - 8, path) is not None


def test_a_matrix_without_entries_and_one_full_row_are_converted(tmp_path):
    for name, A in {"none": sparse.coo_array((5, 6)), "row": sparse.coo_array(np.eye(1, 9) + 1)}.items():
        scipy.io.mmwrite(tmp_path / f"{name}.mtx", A)
        rows = mtx_sorted.rows(str(tmp_path / f"{name}.mtx"), None, 0, str(tmp_path / "A.npz"))
        sparse_writer.write(rows, str(tmp_path / "A.npz"))
        assert np.array_equal(opening.open_matrix(str(tmp_path / "A.npz")).array.toarray(), A.toarray())


@pytest.mark.parametrize(
    ("line", "words"), [("1 1 x\n", "line 50: value 'x'"), ("1 9999 1\n", "column index '9999'"), ("", "ends after 47")]
)
def test_a_line_that_is_wrong_is_named_and_nothing_is_written(line, words, tmp_path):
    path = text(tmp_path / "A.mtx", entries=48, repeats=0)
    lines = open(path).readlines()
    open(path, "w").writelines([*lines[:49], line])
    with pytest.raises(InputError, match=re.escape(words)):
        sparse_writer.write(mtx_sorted.rows(path, None, 0, path), str(tmp_path / "B.npz"))
    assert os.listdir(tmp_path) == ["A.mtx"]


def test_text_that_changes_between_the_two_reads_is_refused(tmp_path, monkeypatch):
    path = text(tmp_path / "A.mtx", repeats=0, entries=60)
    lines = open(path).readlines()
    dealt = mtx_sorted._Sorter._deal

    def changed(*given):
        open(path, "w").writelines([*lines[:2], *lines[3:], lines[3]])
        dealt(*given)

    monkeypatch.setattr(mtx_sorted._Sorter, "_deal", changed)
    with pytest.raises(InputError, match="changed while it was being read"):
        sparse_writer.write(mtx_sorted.rows(path, None, 0, path), str(tmp_path / "B.npz"))


def test_a_scratch_file_that_becomes_shorter_ends_the_run(tmp_path, monkeypatch):
    path = text(tmp_path / "A.mtx", repeats=0, entries=60)
    ordered = mtx_sorted._Sorter._put_in_order

    def cut(self, descriptor, *given):
        os.ftruncate(descriptor, 8)
        return ordered(self, descriptor, *given)

    monkeypatch.setattr(mtx_sorted._Sorter, "_put_in_order", cut)
    with pytest.raises(OutputError, match="scratch file became shorter"):
        sparse_writer.write(mtx_sorted.rows(path, None, 0, path), str(tmp_path / "B.npz"))


def test_a_file_that_does_not_fit_says_what_makes_one_that_can_be_read_in_parts(tmp_path, monkeypatch):
    path = text(tmp_path / "A.mtx")
    monkeypatch.setattr("lowrank_cli.formats.working.available_memory", lambda: 100_000)
    with pytest.raises(ResourceError, match=r"lowrank convert FILE\.mtx FILE\.npz"):
        opening.open_matrix(path)


def test_a_folder_that_cannot_be_written_is_an_error_of_the_output(tmp_path):
    path = text(tmp_path / "A.mtx")
    with pytest.raises(OutputError):
        in_memory(path, str(tmp_path / "none" / "A.npz"))
