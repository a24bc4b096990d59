"""lowrank pinv as a command: what it writes, its faces, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import gallery
import numpy as np
import pytest

from lowrank_cli.formats.memory import from_array
from lowrank_cli.formats.saving import load_factors
from lowrank_cli.reports import Style, facts, render

from .conftest import refusal


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    A, _ = gallery.with_spectrum(12, 7, np.geomspace(1, 1e-2, 4), 3)
    np.save(tmp_path / "A.npy", A)
    np.save(tmp_path / "B.npy", np.ones((12, 2)))
    return str(tmp_path / "A.npy"), str(tmp_path / "B.npy")


def report_of(A, path="A.npy", **asked):
    from lowrank_cli.algorithms.pseudoinverse import PseudoinverseOptions
    from lowrank_cli.analysis.pinv import pinv

    B = asked.pop("B", None)
    options = PseudoinverseOptions(**asked)
    _, _, report = pinv(from_array(A), options, apply=None if B is None else from_array(B))
    return facts.with_run(report, input_path=path, seconds=0.5, threads=2)


# Outputs


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_factors_of_the_pseudo_inverse_are_an_svd_that_holds(lowrank, files, tmp_path, suffix):
    target = str(tmp_path / f"P{suffix}")
    assert lowrank("pinv", files[0], "-o", target).code == 0
    saved = load_factors(target)
    A = np.load(files[0])
    assert saved.kind == "svd" and saved.report["command"] == "pinv" and "run" not in saved.report
    assert np.allclose(saved.factor.reconstruct(), np.linalg.pinv(A), atol=1e-11)
    assert np.all(np.diff(saved.factor.s) <= 0) and saved.factor.rank == 4
    assert lowrank("verify", target, "--orthogonality").code == 0
    held = lowrank("verify", target, "--against", files[0], "--json")
    told = json.loads(held.out)
    assert held.code == 0 and told["measured"] == pytest.approx(told["claimed"], abs=1e-14)
    assert json.loads(lowrank("info", target, "--json").out)["factors"]["shape"] == [7, 12]


def test_a_pseudo_inverse_of_another_matrix_does_not_hold(lowrank, files, tmp_path):
    target, other = str(tmp_path / "P.h5"), str(tmp_path / "C.npy")
    assert lowrank("pinv", files[0], "-o", target).code == 0
    np.save(other, np.load(files[0]) + 1e-6)
    assert lowrank("verify", target, "--against", other).code == 8
    np.save(other, np.load(files[0]).T)
    shapes = lowrank("verify", target, "--against", other)
    assert shapes.code == 8 and "12x7" in shapes.out and "7x12" in shapes.out
    assert "--sample" in refusal(lowrank("verify", target, "--against", files[0], "--sample"))


def test_a_pipe_gets_factors_or_with_dense_or_apply_an_array(files):
    def piped(*argv):
        command = [sys.executable, "-m", "lowrank_cli", "pinv", *argv, "-q", "-o", "-"]
        done = subprocess.run(command, input=Path(files[0]).read_bytes(), capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        return np.load(io.BytesIO(done.stdout))

    inverse = np.linalg.pinv(np.load(files[0]))
    assert set(piped("-")) == {"meta.json", "U", "s", "Vh"}
    assert np.allclose(piped(files[0], "--dense"), inverse, atol=1e-11)
    assert np.allclose(piped("-", "--apply", files[1]), inverse @ np.load(files[1]), atol=1e-10)


def test_npy_is_dense(lowrank, files, tmp_path):
    A = np.load(files[0])
    target = str(tmp_path / "P.npy")
    assert lowrank("pinv", files[0], "-o", target).code == 0
    assert np.allclose(np.load(target), np.linalg.pinv(A), atol=1e-11)
    assert lowrank("pinv", files[0], "-o", target, "--dense", "--ridge", "2").code == 0
    assert np.allclose(np.load(target), np.linalg.solve(A.T @ A + 2 * np.eye(7), A.T), atol=1e-13)


def test_apply_writes_the_solution_and_reports_it(lowrank, files, tmp_path):
    target = str(tmp_path / "X.npy")
    done = lowrank("pinv", files[0], "--apply", files[1], "-o", target, "--json")
    report = json.loads(done.out)
    wanted = np.linalg.pinv(np.load(files[0])) @ np.load(files[1])
    assert done.code == 0 and np.allclose(np.load(target), wanted, atol=1e-10)
    assert report["apply"]["shape"] == [12, 2] and report["run"]["apply_path"] == files[1]
    assert report["solution"]["norm"] == pytest.approx(np.linalg.norm(wanted), rel=1e-12)


# Faces


def test_json_holds_the_contract(lowrank, files):
    report = json.loads(lowrank("pinv", files[0], "-k", "3", "--rcond", "1e-9", "--json").out)
    assert list(report)[:3] == ["schema", "command", "method"]
    assert report["schema"] == "lowrank.report/1" and report["command"] == "pinv" and report["rank"] == 3
    assert report["options"] == {"rank": 3, "rcond": 1e-9, "ridge": 0.0} and report["seed"] == 0
    assert set(report["penrose"]) == {"AXA", "XAX", "AX", "XA"}
    assert report["rule"]["ratio"] == pytest.approx(100 ** (1 / 3)) and report["solution"] is None


def test_tsv_and_csv_are_one_line_that_reads_back_bit_for_bit(lowrank, files):
    report = json.loads(lowrank("pinv", files[0], "--apply", files[1], "--json").out)
    for face, separator in (("tsv", "\t"), ("csv", ",")):
        out = lowrank("pinv", files[0], "--apply", files[1], "--report", face).out
        header, line = csv.reader(io.StringIO(out), delimiter=separator)
        cells = dict(zip(header, line, strict=True))
        assert cells["file"] == files[0] and cells["rank"] == "4" and cells["rows"] == "12"
        assert float(cells["penrose_XA"]) == report["penrose"]["XA"]
        assert float(cells["above"]) == report["rule"]["above"] and float(cells["rcond"]) == report["rule"]["rcond"]
        assert float(cells["solution_norm"]) == report["solution"]["norm"]


@pytest.mark.parametrize("face", ["table", "md"])
def test_people_are_told_the_rule_the_gap_and_the_equations(lowrank, files, face):
    said = " ".join(lowrank("pinv", files[0], "--apply", files[1], "--report", face).out.replace("\\", "").split())
    for words in ("4 of 7", "= rcond s_1", "s_4", "s_5", "condition", "A A^+ A = A", "|A X - B|", "norm of X", "0 at"):
        assert words in said


def test_the_table_fits_eighty_columns_and_an_ascii_stream():
    A = gallery.with_spectrum(30, 20, np.geomspace(1, 1e-3, 9), 3)[0]
    for report in (report_of(A, B=np.ones((30, 1))), report_of(A, rank=2, ridge=0.1), report_of(np.zeros((3, 2)))):
        seen = render("table", [report], Style(width=80, full=False))
        assert max(map(len, seen.splitlines())) <= 80
        assert render("table", [report], Style(ascii=True)).isascii()


def test_a_cut_without_a_gap_is_said_to_have_none_unless_it_was_asked_for():
    A = np.diag(np.geomspace(1, 1e-19, 60))
    said = "No clear gap decides the rank"
    assert said in " ".join(render("table", [report_of(A)], Style(width=100)).split())
    assert said not in render("table", [report_of(A, rank=5)], Style())
    assert said not in render("table", [report_of(gallery.exact_rank(30, 20, 5)[0])], Style())


def test_a_zero_matrix_is_named():
    assert "matrix is zero" in render("table", [report_of(np.zeros((3, 2)))], Style(width=100))


# Refusals


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["-k", "0"], "--rank must be at least 1"),
        (["-k", "8"], "at most 7"),
        (["--rcond", "0"], "--rcond must be above 0"),
        (["--rcond", "1"], "--rcond must be at most 0.5"),
        (["--ridge", "-1"], "--ridge must be at least 0"),
        (["--ridge", "nan"], "--ridge"),
        (["--seed", "x"], "seed"),
        (["--dense"], "-o FILE.npy"),
        (["--dense", "-o", "P.xyz"], ".npy"),
        (["-o", "P.xyz"], ".npz"),
        (["-o", ""], "empty"),
        (["--apply", "B.npy", "-o", "X.xyz"], ".npy"),
        (["--apply", "B.npy", "--dense", "-o", "X.npy"], "contradict"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(lowrank, files, argv, word):
    assert word in refusal(lowrank("pinv", files[0], *argv))


def test_an_output_is_not_an_input_and_not_replaced_against_the_will(lowrank, files, tmp_path):
    assert "A.npy" in refusal(lowrank("pinv", files[0], "-o", files[0]))
    target = tmp_path / "P.h5"
    target.write_bytes(b"kept")
    assert lowrank("pinv", files[0], "-o", str(target), "--no-clobber").code == 5
    assert target.read_bytes() == b"kept"


def test_nan_is_refused_as_input(lowrank, tmp_path):
    np.save(tmp_path / "N.npy", np.array([[1.0, np.nan]]))
    done = lowrank("pinv", str(tmp_path / "N.npy"), "--json")
    assert done.code == 4 and done.out == "" and "row 0, column 1" in done.err
