"""lowrank recompress: options, files, faces and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from formats.factor_samples import CASES, REPORT, content

from lowrank_cli.factors.base import Factorization
from lowrank_cli.factors.qb import QB
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats import WRITERS
from lowrank_cli.formats.saving import load_factors, save
from lowrank_cli.reports import TABLE as FACES


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shape in (("F", (30, 20)), ("G", (30, 20)), ("H", (20, 10))):
        factor = QB(rng.standard_normal((shape[0], 6)) * 0.5 ** np.arange(6), rng.standard_normal((6, shape[1])))
        for suffix in WRITERS:
            save(factor, REPORT, f"{name}{suffix}")
    np.save("B.npy", rng.standard_normal((30, 4)))
    np.save("A.npy", rng.standard_normal((4, 20)))
    return tmp_path


def report_of(lowrank, *argv, code=0):
    result = lowrank("recompress", *argv, "--json")
    assert result.code == code, result.err
    return json.loads(result.out)


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_output_is_the_truncated_svd_with_its_report_from_either_container(lowrank, files, suffix):
    report = report_of(lowrank, f"F{suffix}", "-k", "3", "-o", "out.npz")
    kept = load_factors("out.npz")
    assert kept.kind == "svd" and kept.factor.rank == 3
    assert kept.report == {name: value for name, value in report.items() if name != "run"}
    F = load_factors("F.npz").factor.reconstruct()
    true = np.linalg.norm(F - kept.factor.reconstruct()) / np.linalg.norm(F)
    assert report["error"]["kind"] == "exact" and report["error"]["relative"] == pytest.approx(true, rel=1e-9)
    written = (files / "out.npz").read_bytes()
    assert lowrank("recompress", "F.npz", "-k", "3", "-o", "again.npz", "-q").code == 0
    assert (files / "again.npz").read_bytes() == written


@pytest.mark.parametrize(
    ("argv", "shape", "terms"),
    [
        (["F.npz", "G.h5"], (30, 20), 2),
        (["F.npz", "G.h5", "--scale", "1,-0.25"], (30, 20), 2),
        (["B.npy", "A.npy", "--product"], (30, 20), 1),
        (["F.npz", "H.npz", "--product", "--scale", "2"], (30, 10), 1),
        (["B.npy", "A.npy", "B.npy", "A.npy", "--product"], (30, 20), 2),
        (["F.h5:/Q", "F.h5:/B", "--product"], (30, 20), 1),
    ],
)
def test_sums_products_and_pairs_are_read_as_they_are_written(lowrank, files, argv, shape, terms):
    report = report_of(lowrank, *argv, "-k", "2")
    assert report["input"]["shape"] == list(shape) and len(report["options"]["scale"]) == terms
    assert (
        report["rank"] == 2
        and report["run"]["input_paths"]
        == [a for a in argv if a[-1] not in "t2" and "-" not in a][: len(report["inputs"])]
    )


@pytest.mark.parametrize("face", FACES)
def test_every_face_shows_the_error_and_the_total(lowrank, files, face):
    result = lowrank("recompress", "F.npz", "G.npz", "-k", "2", "--report", face)
    assert result.code == 0 and result.err == "" and "recompress" in result.out
    relative = report_of(lowrank, "F.npz", "G.npz", "-k", "2")["error"]["relative"]
    assert repr(relative) in result.out


def test_info_and_verify_read_what_it_wrote(lowrank, files):
    M = np.random.default_rng(1).standard_normal((20, 12))
    np.save("M.npy", M)
    U, s, Vh = np.linalg.svd(M, full_matrices=False)
    tail = float(np.linalg.norm(s[8:]))
    error = {"norm": "fro", "kind": "exact", "absolute": tail, "relative": tail / float(np.linalg.norm(s))}
    save(SVD(U[:, :8].copy(), s[:8], Vh[:8]), {**REPORT, "error": error}, "M.npz")
    total = report_of(lowrank, "M.npz", "-k", "4", "-o", "M4.npz")["total"]["relative"]
    assert f"<= {total!r}" in lowrank("info", "M4.npz").out
    held = lowrank("verify", "M4.npz", "--against", "M.npy", "--orthogonality", "--json")
    assert held.code == 0 and json.loads(held.out)["claimed"] == total


def test_a_missed_tolerance_is_exit_3_with_the_output_marked(lowrank, files):
    result = lowrank("recompress", "F.npz", "-k", "1", "--rtol", "1e-6", "-o", "out.h5")
    assert result.code == 3 and "not met" in result.err and result.err.count("\n") == 1
    assert load_factors("out.h5").report["status"] == "rank_reached"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, ["F..."]),
        (["F.npz", "-k", "7"], 2, ["--rank 7", "rank 6"]),
        (["F.npz", "-k", "0"], 2, ["--rank"]),
        (["F.npz", "--rtol", "nan"], 2, ["--rtol"]),
        (["F.npz", "--rtol", "1.5"], 2, ["below 1"]),
        (["F.npz", "--norm", "nuclear"], 2, ["nuclear"]),
        (["F.npz", "--scale", "1,2"], 2, ["2 weights for 1"]),
        (["F.npz", "--scale", "1,"], 2, ["--scale"]),
        (["F.npz", "--scale", "inf"], 2, ["--scale"]),
        (["F.npz", "H.npz"], 2, ["20x10", "30x20", "added", "H.npz"]),
        (["F.npz", "G.npz", "--product"], 2, ["30x20 times 30x20"]),
        (["F.npz", "--product"], 2, ["two by two"]),
        (["B.npy"], 4, ["no factors", "B.npy"]),
        (["none.npz"], 4, ["none.npz"]),
        (["-"], 4, ["standard input"]),
        (["F.npz", "-k", "1", "-o", "F.npz"], 2, ["input"]),
        (["F.npz", "-k", "1", "-o", "G.npz", "--no-clobber"], 5, ["G.npz"]),
        (["F.npz", "-k", "1", "-o", "G.npy"], 2, [".npz, .h5"]),
        (["F.npz", "-k", "1", "-o", "none/G.npz"], 5, ["none"]),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_and_nothing_changes(lowrank, files, argv, code, words):
    before = {path.name: content(path) for path in files.iterdir()}
    result = lowrank("recompress", *argv)
    assert result.code == code and result.err.count("\n") == 1 and result.out == "", result.err
    assert all(word in result.err for word in words), result.err
    assert {path.name: content(path) for path in files.iterdir()} == before


def test_the_samples_of_every_kind_go_through_the_command(lowrank, tmp_path):
    for name, factor in CASES.items():
        path = str(tmp_path / f"{name}.npz")
        save(factor, REPORT, path)
        result = lowrank("recompress", path, "-k", "1", "-q")
        if isinstance(factor, Factorization):
            assert result.code == 0, name
        else:
            assert result.code == 2 and "no product of two factors" in result.err, name
