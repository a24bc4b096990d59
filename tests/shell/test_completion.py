"""Completion, as bash asks for it: names of commands, options, methods, faces, and of matrices inside files."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from lowrank_cli.cli import TABLE, completion
from lowrank_cli.cli.completion import candidates, split

from .conftest import COMMAND, environment

#: The command with time to answer on any machine: what is claimed is what it says, not that it said so in two seconds.
PATIENT = (
    "from lowrank_cli.__main__ import main; from lowrank_cli.cli import completion; completion.PATIENCE = 60; main()"
)
BREAKS = " \t\n\"'@><=;|&(:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("completion")
    with h5py.File(place / "data.h5", "w") as file:
        file["X"], file["group/Y"], file["group/a name"] = np.ones((3, 2)), np.ones((2, 2)), np.ones((2, 2))
    np.savez(place / "arrays.npz", first=np.ones((2, 2)), second=np.ones((2, 2)))
    np.save(place / "plain.npy", np.ones((2, 2)))
    (place / "table.csv").write_text("1,2\n")
    header = b'{"layer.0.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}'
    (place / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    bin = place / "bin"
    bin.mkdir()
    (bin / "lowrank").write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{PATIENT}" "$@"\n')
    (bin / "lowrank").chmod(0o755)
    return place


def asked(line: str, folder: Path) -> list[str]:
    """What the function of our bash script answers for a line with the cursor at its end."""
    lines = [
        completion.script("bash"),
        'COMP_WORDBREAKS="$WB"; COMP_LINE="$LINE"; COMP_POINT=${#LINE}',
        '_lowrank lowrank; printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    env = environment(LINE=line, WB=BREAKS, PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def answered(line: str, folder: Path, monkeypatch) -> list[str]:
    """The same without bash, in this process."""
    monkeypatch.chdir(folder)
    out = io.StringIO()
    completion.answer("bash", [line, BREAKS], out)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lowrank appro", ["approx"]),
        ("lowrank --sh", ["--show-completion"]),
        ("lowrank approx --rt", ["--rtol"]),
        ("lowrank approx A.npy --method w", ["weighted"]),
        ("lowrank approx A.npy --method=ky", []),
        ("lowrank approx A.npy --method=n", ["nystrom", "nmf"]),
        ("lowrank approx A.npy -m id --ax", ["--axis"]),
        ("lowrank approx A.npy -m id --axis b", ["both"]),
        ("lowrank spectrum A.npy --report h", ["html"]),
        ("lowrank msign A.npy --method q", ["qdwh"]),
        ("lowrank list f", ["formats"]),
        # bash has taken the word apart at the colon, and replaces what follows it
        ("lowrank approx data.h5:", ["/X", "/group/Y", "/group/a\\ name"]),
        ("lowrank approx data.h5:/g", ["/group/Y", "/group/a\\ name"]),
        ("lowrank info ./arrays.npz:s", ["second"]),
        ("lowrank approx m.safetensors:", ["layer.0.weight"]),
        ("lowrank approx data.h5 -d /X", ["/X"]),
        ("lowrank approx 'data.h5:/gr", ["data.h5:/group/Y", "data.h5:/group/a name"]),
    ],
)
def test_bash_is_offered(line, offered, folder, monkeypatch):
    assert answered(line, folder, monkeypatch) == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lowrank approx A.npy -m id --axis b", ["both"]),
        ("lowrank approx data.h5:/g", ["/group/Y", "/group/a\\ name"]),
        ("lowrank approx pla", []),
    ],
)
def test_the_function_of_the_script_answers_the_same(line, offered, folder):
    assert asked(line, folder) == offered


@pytest.mark.parametrize(
    "line",
    [
        "lowrank approx ",
        "lowrank approx pla",
        "lowrank approx plain.npy:",
        "lowrank approx table.csv:",
        "lowrank approx missing.h5:",
        "lowrank nonsense --x",
        "lowrank approx 'unclosed \" ",
        "lowrank approx data.h5 -o ",
        "lowrank approx -- --",
    ],
)
def test_where_we_know_nothing_the_shell_offers_files(line, folder, monkeypatch):
    assert answered(line, folder, monkeypatch) == []


def test_a_damaged_or_endless_file_is_silence(folder, monkeypatch):
    (folder / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40))
    os.mkfifo(folder / "pipe.h5")
    for name in ("bad.h5", "pipe.h5"):
        assert answered(f"lowrank approx {name}:", folder, monkeypatch) == []


@pytest.mark.parametrize("verb", TABLE)
def test_every_option_of_every_command_is_offered_once(verb):
    offered = candidates([verb, "--"])
    assert len(set(offered)) == len(offered) and "--help" in offered


@pytest.mark.parametrize(
    ("line", "words", "typed"),
    [
        ("lowrank approx ", ["lowrank", "approx", ""], ""),
        ("lowrank a\\ b", ["lowrank", "a b"], "a\\ b"),
        ("lowrank 'x y' z", ["lowrank", "x y", "z"], "z"),
        ("lowrank 'x y", ["lowrank", "x y"], "'x y"),
        ("lowrank \"a'b", ["lowrank", "a'b"], "\"a'b"),
    ],
)
def test_a_line_is_taken_apart_as_the_shell_does(line, words, typed):
    assert split(line) == (words, typed)


def test_completing_loads_no_numpy(folder):
    for line in ("lowrank appro", "lowrank approx --r", "lowrank approx A -m ", "lowrank approx A --report "):
        env = environment(_LOWRANK_COMPLETE="bash")
        argv = [sys.executable, "-X", "importtime", "-c", PATIENT, line, BREAKS]
        done = subprocess.run(argv, env=env, capture_output=True, text=True)
        assert done.stdout.strip() and not re.search(r"\b(numpy|scipy|typer|rich)\b", done.stderr)


def test_an_interactive_bash_completes_a_name_behind_a_colon(folder):
    """Through a terminal, keys and all."""
    env = {**environment(), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PS1": "> ", "TERM": "dumb"}
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = ""

    def until(sign: str) -> None:
        nonlocal seen
        end = time.monotonic() + 60
        while sign not in seen and time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 4096).decode(errors="replace")
        assert sign in seen, seen

    try:
        until("> ")
        os.write(ours, b"source <(lowrank --show-completion bash); echo re''ady\n")
        until("ready")
        os.write(ours, b"lowrank info data.h5:/gro\t")
        until("up/")
        os.write(ours, b"Y -q && echo do''ne\n")
        until("done")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_a_script_is_printed_and_installed_where_the_shell_looks(shell, tmp_path):
    env = environment(XDG_DATA_HOME=str(tmp_path / "data"), XDG_CONFIG_HOME=str(tmp_path / "config"))
    shown = subprocess.run([*COMMAND, "--show-completion", shell], env=env, capture_output=True, text=True)
    assert shown.stdout == completion.script(shell) and "_LOWRANK_COMPLETE=" in shown.stdout
    done = subprocess.run([*COMMAND, "--install-completion", shell], env=env, capture_output=True, text=True)
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert done.returncode == 0 and len(written) == 1 and str(written[0]) in done.stdout
    assert written[0].read_text() == shown.stdout


def test_a_shell_without_a_script_is_refused():
    done = subprocess.run([*COMMAND, "--show-completion", "tcsh"], env=environment(), capture_output=True, text=True)
    assert done.returncode == 2 and "bash, zsh, fish" in done.stderr
