"""lowrank norm as a command: its faces, the gradient it saves, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import gallery
import numpy as np
import pytest

from lowrank_cli.reports import TABLE as FACES
from lowrank_cli.reports import Style, render

EVERY = "fro,spectral,nuclear,schatten:4,max,1,inf"


@pytest.fixture
def matrix(tmp_path) -> str:
    np.save(tmp_path / "A.npy", np.diag([4.0, 2.0, 1.0, 0.5]))
    return str(tmp_path / "A.npy")


def words(text: str) -> str:
    """A table without its lines."""
    return " ".join(re.sub("[│|+]", " ", text).split())


def test_json_holds_the_contract(lowrank, matrix):
    done = lowrank("norm", matrix, "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["schema"] == "lowrank.report/1" and report["command"] == "norm"
    assert [row["norm"] for row in report["norms"]] == ["fro", "spectral"]
    assert set(report["norms"][0]) == {"norm", "value", "lower", "upper", "kind", "failure_probability"}
    assert report["norms"][1]["value"] == 4.0 and report["norms"][1]["kind"] == "exact"
    assert report["options"] == {"kind": "fro,spectral", "gradient": None, "effective_ranks": False, "all": False}
    assert "gradient" not in report and "effective_ranks" not in report and report["seed"] == 0


@pytest.mark.parametrize("face", FACES)
def test_every_face_shows_every_norm(lowrank, matrix, face):
    done = lowrank("norm", matrix, "--kind", EVERY, "--gradient", "decay", "--effective-ranks", "--report", face)
    assert done.code == 0 and done.out and not done.err
    for value in ("7.5", "4.6097722286464435"):
        assert value in done.out


def test_people_are_told_what_each_number_is(lowrank, matrix):
    said = words(lowrank("norm", matrix, "--kind", EVERY, "--gradient", "decay", "--effective-ranks").out)
    for text in (
        "Frobenius norm 4.6097722286464435 exact",
        "Schatten 4",
        "largest column sum",
        "gradient of s_1^2 / 2",
        "gradient off by <=",
        "90 % in 2; 99 % in 4",
        "Roy and Vetterli",
        "max(m, n) eps s_1",
    ):
        assert text in said


def test_an_interval_is_shown_with_both_ends_and_its_chance(lowrank, matrix):
    report = json.loads(lowrank("norm", matrix, "--kind", "spectral,nuclear", "--json").out)
    ends = {"lower": 1.23456, "upper": 9.87612, "kind": "interval", "failure_probability": 1e-6}
    report["norms"] = [{"norm": "spectral", "value": 4.0, **ends}, {"norm": "nuclear", "value": None, **ends}]
    said = words(render("table", [report], Style(width=80, full=False)))
    assert "spectral norm 4 1.234 to 9.877, fails with probability 1e-06 at most" in said
    assert "nuclear norm 1.234 to 9.877" in said


def test_tsv_has_one_line_a_norm_and_reads_back(lowrank, matrix):
    done = lowrank(
        "norm", matrix, "--kind", "fro,spectral", "--gradient", "spectral", "--effective-ranks", "--report", "tsv"
    )
    lines = {line["norm"]: line for line in csv.DictReader(io.StringIO(done.out), delimiter="\t")}
    assert float(lines["spectral"]["value"]) == 4.0 and float(lines["fro"]["value"]) == 4.6097722286464435
    assert float(lines["spectral"]["gradient_s_2"]) == 2.0 and lines["fro"]["gradient_s_2"] == ""
    assert float(lines["rank renyi_inf"]["value"]) == 1.875


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_the_gradient_is_saved_as_factors_that_say_what_they_are(lowrank, matrix, tmp_path, suffix):
    target = str(tmp_path / f"G{suffix}")
    assert lowrank("norm", matrix, "--gradient", "decay", "-o", target, "-q").code == 0
    said = words(lowrank("info", target).out)
    assert "svd, rank 1, 4 x 4 gradient = U diag(s) Vh" in said and "unknown" not in said
    dense = tmp_path / "G.npy"
    assert lowrank("reconstruct", target, "-o", str(dense)).code == 0
    assert np.load(dense) == pytest.approx(np.diag([4.0, 0, 0, 0]))
    # it is no approximation of the matrix, and does not pass for one
    held = lowrank("verify", target, "--against", matrix)
    assert held.code == 8 and "claim no error" in words(held.out)
    assert lowrank("verify", target, "--orthogonality").code == 0


def test_the_gradient_is_saved_dense_under_the_name_of_an_array(lowrank, tmp_path):
    A, _ = gallery.with_spectrum(9, 6, gallery.poly(6), dtype="float32")
    np.save(tmp_path / "A.npy", A)
    assert lowrank("norm", str(tmp_path / "A.npy"), "--gradient", "spectral", "-o", str(tmp_path / "G.npy")).code == 0
    G = np.load(tmp_path / "G.npy")
    U, _, Vh = np.linalg.svd(A.astype(float))
    assert G.dtype == np.float32 and np.linalg.norm(G - np.outer(U[:, 0], Vh[0])) < 1e-6


def test_a_gradient_that_is_not_unique_is_warned_of_on_stderr_and_in_the_report(lowrank, tmp_path):
    np.save(tmp_path / "I.npy", np.eye(3))
    done = lowrank("norm", str(tmp_path / "I.npy"), "--gradient", "spectral")
    assert done.code == 0 and "not unique" in done.err and "not unique" in words(done.out)
    assert "not unique" not in lowrank("norm", str(tmp_path / "I.npy"), "--gradient", "spectral", "-q").err


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (["--kind", "frob"], 2, "no norm"),
        (["--kind", "schatten:0.1"], 2, "at least 1"),
        (["--kind", "fro,fro"], 2, "twice"),
        (["--gradient", "nuclear"], 2, "spectral, decay"),
        (["-o", "G.h5"], 2, "--gradient spectral"),
        (["--gradient", "decay", "-o", "G.txt"], 2, ".npz"),
        (["--gradient", "decay", "-o", "missing/G.h5"], 5, "missing/G.h5"),
        (["--seed", "-1"], 2, "--seed"),
        (["-d", "X"], 4, "X"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(lowrank, matrix, argv, code, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = lowrank("norm", matrix, *argv)
    assert done.code == code and what in done.err and done.err.count("\n") == 1 and not done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["A.npy"]


def test_no_clobber_keeps_what_is_there(lowrank, matrix, tmp_path):
    (tmp_path / "G.h5").write_bytes(b"mine")
    done = lowrank("norm", matrix, "--gradient", "decay", "-o", str(tmp_path / "G.h5"), "--no-clobber")
    assert done.code == 5 and (tmp_path / "G.h5").read_bytes() == b"mine"


def test_a_gradient_goes_through_a_pipe(tmp_path):
    np.save(tmp_path / "D.npy", np.diag([3.0, 2.0]))
    program = f'L() {{ "{sys.executable}" -m lowrank_cli "$@"; }}\n'
    line = "L norm - --gradient spectral -o - --json < D.npy > G.npz 2> report.json"
    done = subprocess.run(["bash", "-c", program + line], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "G.npz") as found:
        assert found["U"] * found["s"] @ found["Vh"] == pytest.approx(np.diag([1.0, 0.0]))
    assert json.loads((tmp_path / "report.json").read_text())["gradient"]["s_1"] == 3.0
