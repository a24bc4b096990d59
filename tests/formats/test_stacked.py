"""Several files as one matrix: the bits and the digest of the file that holds them all."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import sparse

from lowrank_cli.api import tiled
from lowrank_cli.engines.threads import SerialEngine
from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import opening, stacked
from lowrank_cli.matrices.digest import digest

HEIGHTS = (700, 1, 40, 600)


@pytest.fixture
def small_memory(monkeypatch):
    """Nothing that can be left in its file fits."""

    def only(size):
        for module in (opening, stacked):
            monkeypatch.setattr(module, "available_memory", lambda: size)

    return only


def parts(A):
    ends = np.cumsum(HEIGHTS)
    return [A[end - height : end] for end, height in zip(ends, HEIGHTS, strict=True)]


def everything(path, item=None):
    """What a run may see of it, but for its name."""
    loaded = opening.open_matrix(str(path), item)
    A = tiled(loaded, SerialEngine())
    m, n = A.shape
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((n, 5)).astype(A.dtype), rng.standard_normal((m, 5)).astype(A.dtype)
    seen = [digest(A, loaded.item.dtype).encode(), A.sweep().column_squares.tobytes()]
    seen += [made.tobytes() for made in (A.matmat(X), A.rmatmat(Y), *A.normal_matmat(X))]
    picked = A.rows(np.array([m - 1, 0, 700]))
    seen.append((picked.toarray() if hasattr(picked, "toarray") else picked).tobytes())
    facts = loaded.shape, loaded.item.dtype, loaded.item.nnz, loaded.item.bytes, loaded.item.path, loaded.format
    return (facts if loaded.item.nnz is None else facts[:3]), seen, loaded


@pytest.mark.parametrize("memory", [None, 3_000_000])
@pytest.mark.parametrize(("dtype", "order"), [("f8", "C"), ("f4", "F"), (">i2", "C"), ("c16", "mixed")])
def test_dense_files_are_the_one_that_holds_them_all(dtype, order, memory, tmp_path, small_memory):
    A = (np.random.default_rng(0).standard_normal((1341, 150)) * 9).astype(dtype)
    np.save(tmp_path / "all.npy", A)
    for number, part in enumerate(parts(A)):
        turned = order if order != "mixed" else "CF"[number % 2]
        np.save(tmp_path / f"part-{8 + number}.npy", np.asarray(part, order=turned))
    expected = everything(tmp_path / "all.npy")
    if memory is not None:
        small_memory(memory // 10)
    found = everything(tmp_path / "part-*.npy")
    assert found[:2] == expected[:2]
    assert found[2].notes[0].endswith("part-8.npy, part-9.npy, part-10.npy, part-11.npy")
    assert ("left in their files" in str(found[2].notes)) == (memory is not None)


@pytest.mark.parametrize("memory", [None, 200_000])
@pytest.mark.parametrize("how", ["npz", "h5"])
def test_sparse_files_are_the_one_that_holds_them_all(how, memory, tmp_path, small_memory):
    A = sparse.csr_array(sparse.random_array((1341, 150), density=0.1, rng=np.random.default_rng(0)))
    for name, part in {"all": A, **{f"p{number}": part for number, part in enumerate(parts(A))}}.items():
        if how == "npz":
            sparse.save_npz(tmp_path / f"{name}.npz", part, compressed=False)
            continue
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            group = file.create_group("g/X")
            group.attrs["encoding-type"], group.attrs["shape"] = "csr_matrix", part.shape
            for piece in ("data", "indices", "indptr"):
                group.create_dataset(piece, data=getattr(part, piece))
    item = None if how == "npz" else "/g/X"
    expected = everything(tmp_path / f"all.{how}", item)
    if memory is not None:
        small_memory(memory)
    named = f"p?.{how}" if item is None else f"p[0-9].{how}:{item}"
    found = everything(tmp_path / named)
    assert found[:2] == expected[:2]
    assert ("left in their files" in str(found[2].notes)) == (memory is not None)


def refusal(pattern, error=InputError):
    with pytest.raises(error) as caught:
        opening.open_matrix(str(pattern))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_that_do_not_belong_together_are_refused_by_name(tmp_path):
    np.save(tmp_path / "a1.npy", np.eye(3))
    for name, other, words in [
        ("a2.npy", np.eye(4), "a2.npy: has 4 columns, and "),
        ("a2.npy", np.eye(3, dtype="f4"), "a2.npy: holds float32, and "),
        ("a2.npy", np.arange(3.0), "a2.npy: 1-D array"),
    ]:
        np.save(tmp_path / name, other)
        assert words in refusal(tmp_path / "a*.npy")
    (tmp_path / "a2.npy").write_bytes(b"x")
    assert "a2.npy" in refusal(tmp_path / "a*.npy")
    (tmp_path / "a2.npy").unlink()
    sparse.save_npz(tmp_path / "a2.npz", sparse.csr_array(np.eye(3)))
    assert "a2.npz: is sparse, and " in refusal(tmp_path / "a*")


def test_what_fits_nothing_and_two_stars_are_refused(tmp_path):
    assert "no file fits this pattern" in refusal(tmp_path / "none-*.npy")
    assert "** is not read" in refusal(tmp_path / "**" / "a.npy")


def test_a_file_of_that_name_wins(tmp_path):
    for name, value in (("a*.npy", 1.0), ("a1.npy", 2.0), ("a2.npy", 3.0)):
        np.save(tmp_path / name, np.full((1, 1), value))
    assert opening.open_matrix(str(tmp_path / "a*.npy")).array.tolist() == [[1.0]]
    assert opening.open_matrix(str(tmp_path / "a[12].npy")).array.tolist() == [[2.0], [3.0]]


def test_sparse_files_by_columns_that_do_not_fit_say_what_makes_them_fit(tmp_path, small_memory):
    for number in range(2):
        sparse.save_npz(tmp_path / f"p{number}.npz", sparse.eye_array(50, format="csc"), compressed=False)
    small_memory(1000)
    assert "lowrank convert FILE FILE.npz" in refusal(tmp_path / "p*.npz", ResourceError)
