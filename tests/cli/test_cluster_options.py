"""--engine dask on the command line: the same flags for every command that has them, and the reports of one process."""

from __future__ import annotations

import contextlib
import io
import json
import sys

import numpy as np
import pytest

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.engines import cluster as engine

COMMANDS = {
    "approx": ["approx", "A.npy", "-k", "3"],
    "spectrum": ["spectrum", "A.npy", "-k", "3"],
    "verify": ["verify", "F.npz", "--against", "A.npy"],
    "verify sample": ["verify", "F.npz", "--against", "A.npy", "--sample"],
}
WORKERS = ["--engine", "dask", "--workers", "2"]


def call(*argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(list(argv), Terminal(out, err, None, argv))
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a matrix and factors of it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("A.npy", rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 60)))
    assert call("approx", "A.npy", "-k", "3", "-o", "F.npz")[0] == 0
    return tmp_path


@pytest.mark.parametrize("name", ["spectrum", "verify", "verify sample"])
def test_workers_give_the_report_of_one_process(folder, cluster, monkeypatch, name):
    monkeypatch.setattr(engine, "local", lambda workers, memory: contextlib.nullcontext(cluster))
    before = cluster.tasks
    code, out, err = call(*COMMANDS[name], "--report", "json", *WORKERS)
    assert (code, err, cluster.tasks > before) == (0, "", True)
    there, here = json.loads(out), json.loads(call(*COMMANDS[name], "--report", "json")[1])
    assert there.pop("run")["engine"] == "dask" != here.pop("run")["engine"]
    assert there == here


@pytest.mark.parametrize("name", COMMANDS)
def test_without_dask_the_extra_is_named_and_the_exit_code_is_6(folder, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, out, err = call(*COMMANDS[name], *WORKERS)
    assert (code, out) == (6, "")
    assert err == "lowrank: error: --engine dask needs Dask; pip install 'lowrank-cli[dask]'\n"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--workers", "2"], "--workers goes with --engine dask"),
        (["--engine", "dask"], "--engine dask needs a cluster"),
        ([*WORKERS, "--scheduler", "h:1"], "contradict each other"),
        (["--engine", "spark"], "engine"),
    ],
)
def test_contradictions_are_refused_before_any_work(folder, monkeypatch, name, given, said):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    code, out, err = call(*COMMANDS[name], *given)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


@pytest.mark.parametrize("more", [[], ["--against", "A.npy", "--times", "A.npy"]])
def test_verify_refuses_a_cluster_that_has_nothing_to_read(folder, more):
    code, _, err = call("verify", "F.npz", *more, *WORKERS)
    assert code == 2 and "--engine dask" in err
