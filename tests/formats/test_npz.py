"""Matrices in .npz archives: arrays by name, SciPy's sparse matrices by their fields, and nothing unpickled."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import lowrank_cli
from lowrank_cli.errors import InputError
from lowrank_cli.formats import saving
from lowrank_cli.formats.opening import list_items, open_matrix

A = np.random.default_rng(11).standard_normal((7, 5))


def refusal(path, item: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_matrix(str(path), item)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i4", "u1", "?", ">f8", ">i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_an_archive_is_read_as_from_npy_itself(tmp_path, save, dtype, order):
    array = np.asarray((10 * A).astype(dtype), order=order)
    save(tmp_path / "a.npz", A=array, b=np.arange(3))
    np.save(tmp_path / "a.npy", array)
    loaded, expected = open_matrix(str(tmp_path / "a.npz")), open_matrix(str(tmp_path / "a.npy"))
    assert loaded.array.tobytes("A") == expected.array.tobytes("A") and loaded.array.dtype == expected.array.dtype
    assert loaded.array.flags.f_contiguous == expected.array.flags.f_contiguous
    assert (loaded.format, loaded.item.path, loaded.item.dtype) == ("npz", "A", expected.item.dtype)
    assert any("using" in note and ":A" in note for note in loaded.notes)


def test_a19_one_of_several_must_be_named_and_the_refusal_lists_them_to_copy(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, first=A, second=A.T, vector=A[0], scalar=3.0)
    said = refusal(path)
    assert f"{path}:first (7 x 5 float64)" in said and f"{path}:second (5 x 7 float64)" in said and "vector" not in said
    assert (open_matrix(f"{path}:second").array == A.T).all()
    assert (open_matrix(str(path), "first").array == A).all()
    assert "no 'third'" in refusal(f"{path}:third")
    assert "1-D array of 5 values" in refusal(f"{path}:vector")
    assert [(item.path, item.shape) for item in list_items(str(path))[1]] == [
        ("first", (7, 5)), ("second", (5, 7)), ("vector", (5,)), ("scalar", ())
    ]  # fmt: skip


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i4", "?"])
def test_every_layout_that_scipy_saves_gives_the_same_canonical_csr(tmp_path, layout, kind, compressed, dtype):
    dense = np.where(np.random.default_rng(5).random((6, 8)) < 0.3, np.arange(48.0).reshape(6, 8), 0).astype(dtype)
    build = getattr(sp, f"{layout}_{kind}")
    matrix = build(dense) if layout != "bsr" else build(dense, blocksize=(2, 4))
    sp.save_npz(tmp_path / "a.npz", matrix, compressed=compressed)
    loaded = open_matrix(str(tmp_path / "a.npz"))
    assert loaded.array.format == "csr" and loaded.array.has_canonical_format
    assert (loaded.array.toarray() == dense).all()
    assert loaded.item.path is None and loaded.item.shape == (6, 8) and layout in loaded.item.detail


def test_duplicates_of_a_coo_matrix_are_summed_and_told(tmp_path):
    sp.save_npz(tmp_path / "a.npz", sp.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2)))
    loaded = open_matrix(str(tmp_path / "a.npz"))
    assert loaded.array.toarray().tolist() == [[0, 3], [4, 0]]
    assert "1 duplicate entries were summed" in loaded.notes


def pieces(prefix: str, matrix, joint: str = "_") -> dict[str, np.ndarray]:
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(matrix.shape)}
    return {f"{prefix}{joint}{name}": part for name, part in parts.items()}


def test_pieces_under_a_prefix_are_one_matrix_and_their_layout_follows_from_the_length_of_indptr(tmp_path):
    wide = sp.random_array((4, 9), density=0.4, rng=np.random.default_rng(2))
    path = tmp_path / "a.npz"
    np.savez(path, **pieces("rows", wide.tocsr()), **pieces("cols", wide.tocsc(), "."), labels=np.arange(4))
    assert [item.path for item in list_items(str(path))[1]] == ["cols", "rows", "labels"]
    for name in ("rows", "cols"):
        assert (open_matrix(f"{path}:{name}").array.toarray() == wide.toarray()).all()
    np.savez(path, **pieces("adj", wide.tocsr()[:, :4]))
    assert any("by rows" in note for note in open_matrix(str(path)).notes)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("indices", np.array([0, 9]), "outside 0 to 2"),
        ("indices", np.array([0, -1]), "outside 0 to 2"),
        ("indices", np.array([0.0, 1.0]), "integers"),
        ("indices", np.array([0]), "1 indices"),
        ("indptr", np.array([0, 2, 1]), "does not rise"),
        ("indptr", np.array([0, 2]), "has 2 entries"),
        ("indptr", np.array([1, 1, 2]), "does not rise"),
        ("shape", np.array([2, 3, 4]), "not two integers"),
        ("shape", np.array([2**62, 3]), "too large"),
        ("shape", np.array([-2, 3]), "negative"),
        ("format", np.array(b"xyz"), "not known"),
        ("data", np.array([1.0]), "1 values and 2 indices"),
        ("data", np.array([[1.0, 2.0]]), "values of a csr matrix have shape"),
    ],
)
def test_a_sparse_archive_whose_parts_disagree_is_refused(tmp_path, part, value, words):
    parts = {
        "format": np.array(b"csr"),
        "shape": np.array([2, 3]),
        "data": np.array([1.0, 2.0]),
        "indices": np.array([0, 2]),
        "indptr": np.array([0, 1, 2]),
    }
    np.savez(tmp_path / "a.npz", **parts)
    assert open_matrix(str(tmp_path / "a.npz")).array.toarray().tolist() == [[1, 0, 0], [0, 0, 2]]
    np.savez(tmp_path / "a.npz", **(parts | {part: value}))
    assert words in refusal(tmp_path / "a.npz")


class Payload:
    def __reduce__(self):
        return open, (str(Path(__file__).parent / "was-unpickled"), "w")


def test_a19_pickled_members_are_never_loaded(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, bad=np.array([Payload()], dtype=object))
    assert "never loaded" in refusal(path)
    np.savez(path, bad=np.array([Payload()], dtype=object), good=A)
    assert (open_matrix(str(path)).array == A).all()
    assert "never loaded" in refusal(f"{path}:bad")
    assert not (Path(__file__).parent / "was-unpickled").exists()


def test_archives_that_are_none_of_numpys_say_what_they_are(tmp_path):
    assert "without NumPy arrays" in refusal(zipped(tmp_path / "a.npz", {"a.txt": b"1"}))
    assert "without NumPy arrays" in refusal(zipped(tmp_path / "a.npz", {}))
    assert "PyTorch" in refusal(zipped(tmp_path / "a.npz", {"archive/data.pkl": b"\x80\x02."}))
    assert "Excel" in refusal(zipped(tmp_path / "a.npz", {"xl/workbook.xml": b"<"}))
    assert "not use" in refusal(zipped(tmp_path / "a.npz", {"a.npy": npy(A)}, zipfile.ZIP_LZMA))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a19_a_member_given_twice_too_many_members_and_wrong_sizes_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(A))
        archive.writestr("a.npy", npy(A))
    assert "twice" in refusal(path)
    assert "more than 1000" in refusal(zipped(path, {f"a{k}.npy": b"" for k in range(1001)}))
    assert "got 279 of 280 bytes" in refusal(zipped(path, {"a.npy": npy(A)[:-1]}))
    assert "more bytes follow" in refusal(zipped(path, {"a.npy": npy(A) + b"x"}))


def test_a19_a_flipped_byte_of_the_values_is_found_by_the_checksum(tmp_path):
    path = zipped(tmp_path / "a.npz", {"a.npy": npy(A)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(A.tobytes()) + 100] ^= 1
    path.write_bytes(content)
    assert "CRC" in refusal(path)


def test_a_file_of_factors_is_no_matrix_but_its_arrays_are(tmp_path):
    path = str(tmp_path / "f.npz")
    outcome = lowrank_cli.approx(A, rank=2)
    saving.save(outcome.factor, {}, path)
    assert "lowrank reconstruct" in refusal(path)
    assert (open_matrix(f"{path}:U").array == outcome.factor.U).all()


def test_the_two_forms_of_cora_hold_the_same_words(data):
    pieces = open_matrix(f"{data('cora_gnn.npz')}:attr").array
    whole = open_matrix(str(data("cora_attr_scipy.npz"))).array
    for part in ("data", "indices", "indptr"):
        assert (getattr(pieces, part) == getattr(whole, part)).all()
