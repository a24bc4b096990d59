"""--total-bytes and --total-rtol: one budget for all inputs, kept as measured."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal

from .conftest import Result


def lowrank(*argv: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    return Result(run(list(argv), Terminal(out, err, None, argv)), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Four matrices of unequal size and decay."""
    folder, rng, paths = tmp_path_factory.mktemp("total"), np.random.default_rng(7), []
    for i, (m, n, rate) in enumerate([(60, 40, 0.5), (30, 50, 0.8), (45, 45, 0.95), (20, 10, 0.6)]):
        k = min(m, n)
        U, V = (np.linalg.qr(rng.standard_normal((side, k)))[0] for side in (m, n))
        paths.append(str(folder / f"w{i}.npy"))
        np.save(paths[-1], (U * rate ** np.arange(k)) @ V.T * 3.0**i)
    return paths


def told(result: Result) -> tuple[list[dict], dict]:
    *each, last = (json.loads(line) for line in result.out.splitlines())
    assert last["command"] == "batch" and last["of"] == "approx" and "rows" not in last
    return each, last


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_the_bytes_of_all_are_kept_and_the_error_of_all_is_measured(files, jobs):
    done = lowrank("approx", *files, "--total-bytes", "30k", "--json", "--jobs", jobs)
    each, last = told(done)
    assert done.code == 0 and last["total"]["met"] is True
    assert sum(one["compression"]["bytes_out"] for one in each) == last["total"]["compression"]["bytes_out"] <= 30_000
    left = math.hypot(*(one["error"]["absolute"] for one in each))
    whole = math.hypot(*(np.linalg.norm(np.load(path)) for path in files))
    assert last["total"]["error"]["relative"] == pytest.approx(left / whole, rel=1e-9)
    optimal = last["total"]["optimal"]
    assert 0.8 * optimal["relative_upper"] < optimal["relative_lower"] <= optimal["relative_upper"]


def test_it_beats_the_same_bytes_spent_evenly(files):
    whole = told(lowrank("approx", *files, "--total-bytes", "30k", "--json"))[1]["total"]["error"]["absolute"]
    even = []
    for path in files:
        m, n = np.load(path).shape
        done = lowrank("approx", path, "-k", str(min(m, n, 7500 // (8 * (m + n + 1)))), "--json")
        even.append(json.loads(done.out)["error"]["absolute"])
    assert whole < 0.9 * math.hypot(*even)


@pytest.mark.parametrize("rtol", [0.3, 0.01, 1e-6])
def test_a_tolerance_for_all_is_met(files, rtol):
    done = lowrank("approx", *files, "--total-rtol", str(rtol), "--json")
    total = told(done)[1]["total"]
    assert done.code == 0 and total["met"] and total["asked"] == {"rtol": rtol}
    assert 0.4 * rtol < total["error"]["relative"] <= rtol


def test_the_factors_are_those_of_their_rank_alone(files, tmp_path):
    pattern = str(tmp_path / "{stem}.npz")
    each, _ = told(lowrank("approx", *files, "--total-bytes", "30k", "--json", "-o", pattern))
    for path, report in zip(files, each, strict=True):
        alone = tmp_path / "alone.npz"
        assert lowrank("approx", path, "-k", str(report["rank"]), "-o", str(alone), "-q").code == 0
        assert alone.read_bytes() == open(report["run"]["output"], "rb").read()


def test_one_matrix_may_have_a_budget_for_all(files):
    each, last = told(lowrank("approx", files[0], "--total-bytes", "10k", "--json"))
    assert len(each) == 1 and each[0]["rank"] == 10_000 // (8 * 101) and last["total"]["rank"] == each[0]["rank"]


def test_a_curve_that_ends_too_early_is_followed_further(tmp_path, monkeypatch):
    """The flat matrix needs far more than its even share, so its basis has to grow."""
    from lowrank_cli.algorithms import plan

    monkeypatch.setattr(plan, "wants_lapack", lambda *args: False)
    monkeypatch.setattr(plan, "LAPACK_ENTRIES", 0)
    from lowrank_cli.analysis import allotment

    looked, priced = [], allotment.priced
    monkeypatch.setattr(allotment, "priced", lambda loaded, **how: looked.append(how) or priced(loaded, **how))
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.npy") for i in range(4)]
    U, V = (np.linalg.qr(rng.standard_normal((side, 200)))[0] for side in (400, 300))
    np.save(paths[0], (U * 0.99 ** np.arange(200)) @ V.T)
    for path in paths[1:]:
        np.save(path, 1e-3 * np.outer(U[:, 0], V[:, 0]) + 1e-12 * rng.standard_normal((400, 300)))
    each, last = told(lowrank("approx", *paths, "--total-bytes", "700k", "--json"))
    assert len(looked) > 4 and looked[4]["rank"] > 100
    assert [one["rank"] for one in each][1:] == [1, 1, 1] and each[0]["rank"] == 700_000 // (8 * 701) - 3
    left, whole = (0.99 ** (2 * k) - 0.99**400 for k in (each[0]["rank"], 0))
    assert last["total"]["error"]["relative"] == pytest.approx((left / whole) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("face", ["table", "md", "tsv", "csv"])
def test_every_face_shows_the_ranks(files, face):
    done = lowrank("approx", *files, "--total-bytes", "30k", "--report", face)
    assert done.code == 0 and "w3" in done.out
    assert ("in all" in done.out) is (face in ("table", "md"))


def test_an_input_that_fails_ends_all_or_is_left_out(files, tmp_path):
    bad = str(tmp_path / "bad.npy")
    stopped = lowrank("approx", files[0], bad, files[1], "--total-bytes", "30k", "--json")
    assert stopped.code == 4 and json.loads(stopped.out)["error"]["exit"] == 4 and stopped.err.count("\n") == 1
    each, last = told(lowrank("approx", files[0], bad, files[1], "--total-bytes", "30k", "--json", "--keep-going"))
    assert [("message" in one["error"]) for one in each] == [False, True, False]
    assert last["failed"] == 1 and last["total"]["compression"]["bytes_out"] <= 30_000
    nothing = lowrank("approx", bad, bad, "--total-rtol", "0.1", "--json", "--keep-going")
    assert nothing.code == 1 and json.loads(nothing.out.splitlines()[-1])["total"] is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--total-bytes", "1k"], "rank 1 of each matrix takes"),
        (["--total-bytes", "0"], "out of range"),
        (["--total-bytes", "1k", "--total-rtol", "0.1"], "contradict"),
        (["--total-rtol", "1"], "below 1"),
        (["--total-rtol", "1e-17"], "rounding"),
        (["--total-bytes", "30k", "-k", "3"], "contradict"),
        (["--total-bytes", "30k", "--norm", "spectral"], "contradict"),
        (["--total-bytes", "30k", "--passes", "4"], "contradict"),
        (["--total-bytes", "30k", "--single-pass"], "contradict"),
        (["--total-bytes", "30k", "--method", "id"], "allots ranks of --method svd"),
        (["--total-bytes", "30k", "--left", "x.npy"], "allots ranks of --method svd"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(files, argv, words):
    done = lowrank("approx", *files, *argv)
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1 and done.out == ""
