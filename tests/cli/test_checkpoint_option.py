"""--checkpoint of the commands that print what they found: taken up again, refused, and kept until it is printed."""

from __future__ import annotations

import contextlib
import json
import os

import numpy as np
import pytest
from contracts.stopping import Killed, Stopping

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal, text_stream

from .conftest import refusal

ASKED = {
    "spectrum": ["spectrum", "A.npy", "-k", "3"],
    "norm": ["norm", "A.npy", "--kind", "fro,max"],
    "verify": ["verify", "F.npz", "--against", "A.npy"],
    "verify a product": ["verify", "P.npz", "--against", "A.npy", "--times", "Y.npy"],
}
KEPT = ["--checkpoint", "kept"]


@pytest.fixture
def folder(tmp_path, command, monkeypatch):
    """A folder with matrices and factors of them; the command line runs in it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(8)
    np.save("A.npy", rng.standard_normal((90, 40)))
    np.save("Y.npy", rng.standard_normal((40, 30)))
    assert command("approx", "A.npy", "-k", "3", "-q", "-o", "F.npz").code == 0
    assert command("product", "A.npy", "Y.npy", "-k", "9", "-q", "-o", "P.npz").code == 0
    return tmp_path


def without_run(said: str):
    return {name: one for name, one in json.loads(said).items() if name != "run"}


def dying(path, every, tell, warn, held):
    """A checkpoint that ends the command when it has kept one pass."""
    return Stopping(path, tell=tell, warn=warn, held=held)


def stop(command, monkeypatch, argv) -> None:
    """Leave a checkpoint with one pass in it."""
    with monkeypatch.context() as patched:
        patched.setattr("lowrank_cli.formats.checkpoint.Checkpoint", dying)
        with pytest.raises(Killed):
            command(*argv, *KEPT)


@pytest.mark.parametrize("what", ASKED)
def test_a_command_that_is_killed_whenever_it_keeps_a_pass_prints_the_same(what, folder, command, monkeypatch):
    wanted = without_run(command(*ASKED[what], "--json").out)
    monkeypatch.setattr("lowrank_cli.formats.checkpoint.Checkpoint", dying)
    done, stops = None, -1
    while done is None:
        stops += 1
        with contextlib.suppress(Killed):
            done = command(*ASKED[what], "--json", *KEPT)
    assert without_run(done.out) == wanted and stops > 0
    assert not (folder / "kept").exists()


OTHER = {
    "spectrum": (["spectrum", "A.npy", "-k", "4"], "options.k was 3, is 4"),
    "norm": ([*ASKED["norm"], "--seed", "5"], "seed was 0, is 5"),
    "verify": ([*ASKED["verify"], "--sample"], "options.sample was false, is true"),
}


@pytest.mark.parametrize("what", OTHER)
def test_h04_other_work_is_refused_with_its_differences(what, folder, command, monkeypatch):
    stop(command, monkeypatch, ASKED[what])
    other, said = OTHER[what]
    assert said in refusal(command(*other, *KEPT))
    assert command(*ASKED[what], *KEPT).code == 0 and not (folder / "kept").exists()


def test_h04_other_factors_and_other_commands_are_refused(folder, command, monkeypatch):
    stop(command, monkeypatch, ASKED["verify"])
    assert command("approx", "A.npy", "-k", "2", "-q", "-o", "F.npz").code == 0
    assert "factors.U was" in refusal(command(*ASKED["verify"], *KEPT))
    assert 'command was "verify", is "norm"' in refusal(command(*ASKED["norm"], *KEPT))


@pytest.mark.parametrize("what", ["spectrum", "norm", "verify"])
def test_what_cannot_be_printed_is_kept(what, folder, command):
    with open("/dev/full", "w") as full:
        out = text_stream(full.fileno(), "standard output", None)
        assert run([*ASKED[what], "--json", *KEPT], Terminal(out, open(os.devnull, "w"))) == 5
    assert (folder / "kept" / "passes").stat().st_size
    said = command(*ASKED[what], "-v", *KEPT)
    assert said.code == 0 and not (folder / "kept").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["spectrum", "A.npy", "Y.npy", *KEPT], "--checkpoint keeps the work on one matrix, not on 2"),
        (["verify", "F.npz", "P.npz", "--against", "A.npy", *KEPT], "keeps the work on one matrix, not on 2"),
        (["verify", "F.npz", *KEPT], "without --against there are no passes for --checkpoint to keep"),
        (["norm", "A.npy", "--checkpoint-every", "5"], "--checkpoint-every says how often, but not where"),
        (["spectrum", "A.npy", "--engine", "dask", "--workers", "1", *KEPT], "--checkpoint does not go with --engine"),
        (["spectrum", "A.npy", "-k", "50", *KEPT], "-k 50 is too large"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_no_directory(argv, said, folder, command):
    assert said in refusal(command(*argv))
    assert not (folder / "kept").exists()
