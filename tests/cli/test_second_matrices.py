"""lowrank approx with a second matrix: --left, --right, --weight, --gram: files, report, exit code."""

from __future__ import annotations

import io
import json

import gallery
import numpy as np
import pytest

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.formats.saving import load_factors


@pytest.fixture
def real(monkeypatch):
    """The command line with the methods themselves behind it."""

    def call(*argv: str):
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdout", out)
        return run(list(argv), Terminal(out, err, None, argv)), out.getvalue(), err.getvalue()

    return call


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    A, _ = gallery.with_spectrum(40, 30, gallery.poly(30), 1)
    rng = np.random.default_rng(0)
    made = {"A": A, "L": A @ rng.standard_normal((30, 6)), "R": rng.standard_normal((6, 40)) @ A}
    made["X"] = gallery.with_spectrum(90, 30, np.geomspace(1, 1e-3, 30), 3)[0]
    made["H"] = made["X"].T @ made["X"]
    for name, array in made.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: str(tmp_path / f"{name}.npy") for name in made}


@pytest.mark.parametrize(("flag", "name"), [("--left", "L"), ("--right", "R")])
def test_the_flag_calls_for_the_method_and_the_report_describes_the_second_matrix(real, files, tmp_path, flag, name):
    target = str(tmp_path / "F.h5")
    code, out, err = real("approx", files["A"], flag, files[name], "-o", target, "--json")
    report = json.loads(out)
    side = flag.lstrip("-")
    assert (code, err) == (0, "") and report["method"] == "given" and report["rank"] == 6
    assert report[side]["shape"] == list(np.load(files[name]).shape) and report["run"][f"{side}_path"] == files[name]
    assert report["method_facts"]["given"] == side and report["method_facts"]["given_rank"] == 6
    saved = load_factors(target)
    assert saved.kind == "given" and np.array_equal(saved.factor.arrays()[name], np.load(files[name]))
    assert saved.report["error"]["relative"] == pytest.approx(report["method_facts"]["least_relative"])
    assert real("verify", target, "--against", files["A"])[0] == 0
    assert json.loads(real("info", target, "--json")[1])["factors"]["kind"] == "given"


@pytest.mark.parametrize(("flag", "name"), [("--weight", "X"), ("--gram", "H")])
def test_data_to_weigh_by_call_for_their_method_and_both_errors_are_told(real, files, tmp_path, flag, name):
    target = str(tmp_path / "F.npz")
    code, out, err = real("approx", files["A"], flag, files[name], "-k", "4", "-o", target, "--json")
    report = json.loads(out)
    assert (code, err) == (0, "") and report["method"] == "weighted" and report["rank"] == 4
    A, X = np.load(files["A"]), np.load(files["X"])
    F = load_factors(target).factor
    weighted = np.linalg.norm((A - F.Q @ F.B) @ X.T) / np.linalg.norm(A @ X.T)
    assert report["method_facts"]["weighted"]["relative"] == pytest.approx(weighted, rel=1e-9)
    assert report["error"]["relative"] == pytest.approx(np.linalg.norm(A - F.Q @ F.B) / np.linalg.norm(A), rel=1e-9)
    assert report[flag.lstrip("-")]["shape"] == list(np.load(files[name]).shape)
    assert real("verify", target, "--against", files["A"], "--orthogonality")[0] == 0
    shown = real("approx", files["A"], flag, files[name], "-k", "4")[1]
    assert "weighted error" in shown and "best weighted" in shown and flag in shown


def test_a_weighted_tolerance_missed_exits_3_with_the_weighted_error(real, files):
    code, out, err = real("approx", files["A"], "--weight", files["X"], "-k", "2", "--rtol", "1e-3", "--json")
    assert code == 3
    assert f"relative error {json.loads(out)['method_facts']['weighted']['relative']:.3g}" in err


def test_one_part_is_the_factor_that_was_found(real, files, tmp_path):
    target = str(tmp_path / "X.npy")
    assert real("approx", files["A"], "--left", files["L"], "--part", "R", "-o", target, "-q")[0] == 0
    wanted = np.linalg.pinv(np.load(files["L"])) @ np.load(files["A"])
    assert np.allclose(np.load(target), wanted, atol=1e-10)


def test_a_tolerance_that_no_other_factor_can_meet_exits_3_and_says_why(real, files):
    code, out, err = real("approx", files["A"], "--left", files["L"], "--rtol", "1e-6", "--json")
    assert code == 3 and json.loads(out)["status"] == "given_exhausted"
    assert "no matrix with the given factor is nearer" in err and err.count("\n") == 1


@pytest.mark.parametrize("face", ["table", "md", "tsv"])
def test_every_face_shows_the_second_matrix_or_its_result(real, files, face):
    code, out, _ = real("approx", files["A"], "--left", files["L"], "-k", "3", "--report", face)
    assert code == 0 and "given" in out
    assert face == "tsv" or ("left, rank 6" in out and files["L"] in out.replace("\\", ""))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--left", "L", "--right", "R"], "--left L or --right R"),
        (["--method", "given"], "--left L or --right R"),
        (["--left", "L", "--method", "svd"], "--left goes with --method given"),
        (["--left", "L", "--ridge", "-1"], "--ridge must be at least 0"),
        (["--left", "L", "--ridge", "1", "--rtol", "0.1"], "no tolerance"),
        (["--left", "R"], "as many rows"),
        (["--weight", "X", "--gram", "H"], "--weight X or --gram H"),
        (["--weight", "L"], "must have 30 columns"),
        (["--gram", "A"], "must have 30x30 entries"),
        (["--weight", "X", "--norm", "spectral"], "Frobenius norm"),
        (["--weight", "X", "--left", "L"], "--weight goes with --method weighted"),
        (["--ridge", "1"], "--ridge belongs to method given, not svd"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(real, files, argv, words):
    code, out, err = real("approx", files["A"], *(files.get(word, word) for word in argv))
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1
