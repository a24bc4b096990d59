"""lowrank msign as a command: one matrix, all of a container, every face, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import gallery
import h5py
import numpy as np
import pytest

from lowrank_cli.algorithms.polar import METHODS
from lowrank_cli.reports import TABLE as FACES


@pytest.fixture
def square(tmp_path) -> str:
    np.save(tmp_path / "A.npy", gallery.with_spectrum(20, 20, gallery.poly(20))[0])
    return str(tmp_path / "A.npy")


@pytest.fixture
def layers(tmp_path) -> str:
    path = tmp_path / "layers.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["block/0/weight"] = rng.standard_normal((6, 4)).astype("f4")
        file["block/1/weight"] = rng.standard_normal((3, 5))
        file["bias"] = np.zeros(4)
        file["names"] = np.array([[b"a", b"b"]])
    return str(path)


def words(text: str) -> str:
    """A table without its lines."""
    return " ".join(re.sub("[│|]", " ", text).split())


def test_json_holds_the_contract(lowrank, square):
    done = lowrank("msign", square, "--method", "polar-express", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["schema"] == "lowrank.report/1" and report["command"] == "msign"
    assert report["method"] == "polar-express" and report["status"] == "converged" and report["rank"] == 20
    assert report["iterations"] == len(report["method_facts"]["coefficients"]) > 10
    assert report["options"] == {"method": "polar-express", "lower": None, "steps": None}
    assert report["input"]["digest"] and report["run"]["input_path"] == square
    assert {"orthogonality", "backward_error", "distance", "condition", "resolved", "deviation"} <= set(report)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("method", METHODS)
def test_every_face_shows_every_method(lowrank, square, face, method):
    done = lowrank("msign", square, "-m", method, "--report", face)
    assert done.code == 0 and done.out and not done.err
    assert method in done.out


def test_tsv_has_one_line_a_matrix_and_reads_back(lowrank, layers):
    done = lowrank("msign", layers, "--all", "--report", "tsv")
    lines = list(csv.DictReader(io.StringIO(done.out), delimiter="\t"))
    assert [line["item"] for line in lines] == ["/block/0/weight", "/block/1/weight"]
    assert all(float(line["orthogonality"]) < 1e-5 and line["status"] == "converged" for line in lines)


def test_muon_is_told_not_to_converge(lowrank, square):
    said = words(lowrank("msign", square, "-m", "muon").out)
    assert "no fixed point" in said and "passes_spent" in said


def test_directions_that_rounding_made_are_warned_of(lowrank, tmp_path):
    np.save(tmp_path / "R.npy", gallery.exact_rank(30, 20, 5)[0])
    said = lowrank("msign", str(tmp_path / "R.npy"), "-m", "polar-express", "--lower", "1e-16", "--steps", "60").out
    assert "directions of X come from its rounding" in words(said)


def test_a_result_is_written_as_an_array_in_its_own_dtype(lowrank, square, tmp_path):
    target = tmp_path / "X.npy"
    done = lowrank("msign", square, "-o", str(target), "--json")
    assert done.code == 0
    X = np.load(target)
    assert np.linalg.norm(X.T @ X - np.eye(20)) < 1e-13
    assert json.loads(done.out)["run"]["output_bytes"] == target.stat().st_size


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_all_matrices_of_a_container_keep_their_names(lowrank, layers, tmp_path, suffix):
    target = tmp_path / f"signs{suffix}"
    done = lowrank("msign", layers, "--all", "-o", str(target))
    assert done.code == 0 and "left out: /bias, /names" in done.err
    with np.load(target) if suffix == ".npz" else h5py.File(target) as found:
        first, second = (np.array(found[f"block/{i}/weight"]) for i in (0, 1))
    assert first.dtype == np.float32 and first.shape == (6, 4) and second.shape == (3, 5)
    assert np.linalg.norm(first.T @ first - np.eye(4)) < 1e-6
    assert np.linalg.norm(second @ second.T - np.eye(3)) < 1e-13


def test_one_matrix_of_a_container_is_the_same_alone_and_among_all(lowrank, layers, tmp_path):
    lowrank("msign", layers, "--all", "-o", str(tmp_path / "all.npz"), "-q")
    lowrank("msign", f"{layers}:/block/1/weight", "-o", str(tmp_path / "one.npy"), "-q")
    with np.load(tmp_path / "all.npz") as found:
        assert found["block/1/weight"].tobytes() == np.load(tmp_path / "one.npy").tobytes()


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (["--method", "svdd"], 2, "svd"),
        (["--steps", "3"], 2, "--steps"),
        (["--method", "svd", "--lower", "0.1"], 2, "--lower"),
        (["--method", "muon", "--steps", "0"], 2, "at least 1"),
        (["--method", "qdwh", "--lower", "2"], 2, "below 1"),
        (["-o", "X.txt"], 2, ".npz or .h5"),
        (["--all", "-o", "X.npy"], 2, ".npz or .h5"),
        (["--all", "-d", "W"], 2, "contradict"),
        (["-d", "W"], 4, "W"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(lowrank, square, argv, code, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = lowrank("msign", square, *argv)
    assert done.code == code and what in done.err and done.err.count("\n") == 1 and not done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["A.npy"]


def test_all_of_standard_input_is_refused(lowrank):
    done = lowrank("msign", "-", "--all")
    assert done.code == 2 and "--all" in done.err


def test_a_container_without_a_matrix_is_said_to_have_none(lowrank, tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.zeros(3)
    done = lowrank("msign", str(tmp_path / "v.h5"), "--all")
    assert done.code == 4 and "holds no matrix" in done.err


def test_no_clobber_keeps_what_is_there(lowrank, square, tmp_path):
    (tmp_path / "X.npy").write_bytes(b"mine")
    assert lowrank("msign", square, "-o", str(tmp_path / "X.npy"), "--no-clobber").code == 5
    assert (tmp_path / "X.npy").read_bytes() == b"mine"


def test_an_output_that_is_the_input_is_refused(lowrank, square):
    assert lowrank("msign", square, "-o", square).code == 2


def test_pipes_carry_one_array_or_a_whole_archive(layers, tmp_path):
    np.save(tmp_path / "D.npy", np.diag([3.0, -2.0]))
    program = f'L() {{ "{sys.executable}" -m lowrank_cli "$@"; }}\n'
    line = f"L msign - -q -o - < D.npy > X.npy && L msign {layers} --all -q -o - > S.npz"
    done = subprocess.run(["bash", "-c", program + line], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "X.npy") == pytest.approx(np.diag([1.0, -1.0]))
    with np.load(tmp_path / "S.npz") as found:
        assert "block/0/weight" in found
