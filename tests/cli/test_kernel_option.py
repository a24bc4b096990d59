"""--kernel on the command line: points in, a report that says so, and verify that knows."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.formats.saving import load_factors
from lowrank_cli.reports import TABLE as FACES

from .conftest import Result


@pytest.fixture
def lowrank(tmp_path, monkeypatch):
    """lowrank(*argv) runs a command line with the real library, beside 90 points in X.npy."""
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", np.random.default_rng(0).standard_normal((90, 2)))

    def call(*argv: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        code = run(list(argv), Terminal(out, err, None, argv))
        return Result(code, out.getvalue(), err.getvalue())

    return call


ASKED = ("approx", "X.npy", "--kernel", "gaussian:1.5", "--method", "nystrom", "--pivots", "columns", "-k", "12")


def test_the_report_says_whose_kernel_matrix_it_was_and_verify_finds_it_again(lowrank):
    report = json.loads(lowrank(*ASKED, "-o", "K.npz", "--json").out)
    known = {"name": "gaussian", "scale": 1.5, "points": 90, "dimension": 2}
    assert report["input"]["kernel"] == known and report["input"]["shape"] == [90, 90]
    assert report["input"]["bytes"] == 8 * 90 * 90 and report["input"]["digest"]
    assert load_factors("K.npz").report["input"]["kernel"] == known
    assert report["method_facts"]["chosen"]["cols"]["count"] == 12
    for more in ([], ["--sample"]):
        held = lowrank("verify", "K.npz", "--against", "X.npy", "--json", *more)
        assert held.code == 0, held.err
    np.save("Y.npy", np.load("X.npy") + np.arange(90)[:, None])
    assert lowrank("verify", "K.npz", "--against", "Y.npy").code == 8


@pytest.mark.parametrize("face", FACES)
def test_every_face_carries_it(lowrank, face):
    result = lowrank(*ASKED, "--report", face)
    assert result.code == 0 and result.err == ""
    if face in ("table", "md"):
        assert "gaussian kernel" in result.out and "90 points" in result.out and "trace error" in result.out


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        ("sinc:1", ["sinc", "gaussian, laplace"]),
        ("gaussian", ["no scale", "gaussian:1.5"]),
        ("gaussian:", ["--kernel"]),
        ("gaussian:0", ["above 0"]),
        ("gaussian:-1", ["above 0"]),
        ("gaussian:nan", ["finite number"]),
        ("laplace:1,2", ["finite number"]),
    ],
)
def test_what_is_no_kernel_is_refused_in_one_line(lowrank, kernel, words):
    result = lowrank("approx", "X.npy", "--kernel", kernel, "-k", "2")
    assert result.code == 2 and result.err.count("\n") == 1 and all(word in result.err for word in words), result.err


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--pivots", "rows"], 2, ["rows", "sketch, columns"]),
        (["-k", "91"], 2, ["--rank 91", "90x90"]),
        (["--rtol", "1e-17"], 2, ["below the rounding"]),
    ],
)
def test_options_out_of_range_are_refused(lowrank, argv, code, words):
    result = lowrank("approx", "X.npy", "--kernel", "laplace:1", "--method", "nystrom", *argv)
    assert result.code == code and all(word in result.err for word in words), result.err


def test_a_matrix_that_is_not_symmetric_is_told_where(lowrank):
    A = np.eye(5)
    A[1, 3] = 0.5
    np.save("A.npy", A)
    result = lowrank("approx", "A.npy", "--method", "nystrom", "-k", "2")
    assert result.code == 2 and "row 1, column 3" in result.err and result.err.count("\n") == 1
    result = lowrank("approx", "X.npy", "--method", "nystrom", "-k", "2")
    assert result.code == 2 and "90x2" in result.err
