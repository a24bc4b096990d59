"""lowrank apply: F X without forming F, for every kind, and bad input said in one line."""

from __future__ import annotations

import subprocess
import sys

import measure
import numpy as np
import pytest
import scipy.io
from formats.factor_samples import CASES, REPORT, svd
from scipy.sparse import csr_array

from lowrank_cli.formats.saving import save


def applied(folder, factor, X, *more):
    save(factor, REPORT, str(folder / "F.npz"))
    np.save(folder / "X.npy", X)
    return ("apply", str(folder / "F.npz"), str(folder / "X.npy"), *more)


def block(factor, columns=4, adjoint=False, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((factor.shape[0 if adjoint else 1], columns))
    return X.astype(factor.dtype) if factor.dtype.kind == "f" else (X + 1j * X[::-1]).astype(factor.dtype)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_product_is_that_of_the_factors_multiplied_out(lowrank, tmp_path, name, adjoint):
    factor = CASES[name]
    X, target = block(factor, adjoint=adjoint), tmp_path / "Y.npy"
    argv = applied(tmp_path, factor, X, "-o", str(target), *(["--adjoint"] if adjoint else []))
    assert lowrank(*argv).code == 0
    A, Y = measure.product(factor), np.load(target)
    exact = (A.conj().T if adjoint else A) @ measure.wide(X)
    assert Y.dtype == factor.dtype and Y.shape == exact.shape
    assert measure.norm(Y - exact) <= 10 * measure.eps(Y) * measure.norm(A) * measure.norm(X)


@pytest.mark.parametrize("name", ["svd-float64", "id-sparse-float64", "cr-float32"])
def test_the_identity_gives_what_reconstruct_gives(lowrank, tmp_path, name):
    factor = CASES[name]
    argv = applied(tmp_path, factor, np.eye(factor.shape[1], dtype=factor.dtype), "-o", str(tmp_path / "Y.npy"))
    assert lowrank(*argv).code == 0
    assert lowrank("reconstruct", str(tmp_path / "F.npz"), "-o", str(tmp_path / "A.npy")).code == 0
    np.testing.assert_allclose(np.load(tmp_path / "Y.npy"), np.load(tmp_path / "A.npy"), rtol=1e-6)


def test_no_bit_depends_on_how_the_block_was_stored(lowrank, tmp_path):
    rng = np.random.default_rng(0)
    from lowrank_cli.factors.qb import QB

    factor = QB(rng.standard_normal((300, 30)), rng.standard_normal((30, 200)))
    X = rng.standard_normal((200, 50))
    found = set()
    for stored in (X, np.asfortranarray(X), X.astype(">f8")):
        assert lowrank(*applied(tmp_path, factor, stored, "-o", str(tmp_path / "Y.npy"))).code == 0
        found.add((tmp_path / "Y.npy").read_bytes())
    scipy.io.mmwrite(tmp_path / "X.mtx", csr_array(X), precision=17)
    argv = ("apply", str(tmp_path / "F.npz"), str(tmp_path / "X.mtx"), "-o", str(tmp_path / "Y.npy"))
    assert lowrank(*argv).code == 0
    assert len(found | {(tmp_path / "Y.npy").read_bytes()}) == 1


def test_the_wider_dtype_is_the_one_of_the_product(lowrank, tmp_path):
    for stored, expected in (("complex64", "complex128"), ("int8", "float64"), ("float32", "float64")):
        X = np.ones((5, 2), stored)
        assert lowrank(*applied(tmp_path, svd(), X, "-o", str(tmp_path / "Y.npy"))).code == 0
        assert np.load(tmp_path / "Y.npy").dtype == expected


def test_large_factors_times_small_blocks_neither_overflow_nor_vanish(lowrank, tmp_path):
    from lowrank_cli.factors.svd import SVD

    factor = SVD(np.eye(4, 1), np.array([1e300]), np.eye(1, 3))
    assert lowrank(*applied(tmp_path, factor, np.full((3, 1), 1e-300), "-o", str(tmp_path / "Y.npy"))).code == 0
    assert np.load(tmp_path / "Y.npy")[0, 0] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("X", "more", "code", "words"),
    [
        (np.ones((6, 2)), [], 2, ["6x5", "5 rows", "6x2", "--adjoint"]),
        (np.ones((5, 2)), ["--adjoint"], 2, ["6 rows", "leave out --adjoint"]),
        (np.ones((7, 2)), [], 2, ["7x2", "transpose"]),
        (np.array([[1.0], [2.0], [np.nan], [3.0], [np.inf]]), [], 4, ["2 entries", "row 2, column 0"]),
        (np.ones(5), [], 4, ["1-D"]),
        (np.full((5, 1), 1e308), [], 1, ["overflows"]),
    ],
)
def test_a_block_that_cannot_be_multiplied_is_refused_and_nothing_written(lowrank, tmp_path, X, more, code, words):
    result = lowrank(*applied(tmp_path, svd(), X, "-o", str(tmp_path / "Y.npy"), *more))
    assert result.code == code and result.err.count("\n") == 1
    assert all(word in result.err for word in words), result.err
    assert not (tmp_path / "Y.npy").exists()


def test_outputs_that_cannot_be_are_refused_before_the_factors_are_read(lowrank, tmp_path):
    argv = applied(tmp_path, svd(), np.ones((5, 2)))
    (tmp_path / "F.npz").write_bytes(b"not factors")
    (tmp_path / "kept.npy").write_bytes(b"kept")
    for more, code, word in [
        ([], 2, "-o"),
        (["-o", "Y.xyz"], 2, ".npy"),
        (["-o", str(tmp_path / "X.npy")], 2, "input"),
        (["-o", str(tmp_path / "none" / "Y.npy")], 5, "none"),
        (["-o", str(tmp_path / "kept.npy"), "--no-clobber"], 5, "kept"),
    ]:
        result = lowrank(*argv, *more)
        assert result.code == code and word in result.err and result.err.count("\n") == 1, result.err
    assert (tmp_path / "kept.npy").read_bytes() == b"kept"
    result = lowrank(*argv, "-o", str(tmp_path / "Y.npy"))
    assert result.code == 4 and "no factors" in result.err


def test_a_block_comes_from_a_pipe_and_the_product_goes_into_one(tmp_path):
    factor = CASES["svd-complex128"]
    applied(tmp_path, factor, block(factor))
    command = [sys.executable, "-m", "lowrank_cli", "apply", "F.npz"]
    piped = subprocess.run(
        [*command, "-", "-o", "-"], cwd=tmp_path, stdin=open(tmp_path / "X.npy", "rb"), capture_output=True
    )
    filed = subprocess.run([*command, "X.npy", "-o", "Y.npy"], cwd=tmp_path, capture_output=True)
    assert piped.returncode == filed.returncode == 0 and piped.stderr == b""
    assert piped.stdout == (tmp_path / "Y.npy").read_bytes()
