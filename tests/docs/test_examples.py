"""The examples of every help are run as they stand; and the man page holds what the help says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import manual
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.cli import TABLE

PAGE = (Path(manual.__file__).with_name("lowrank.1")).read_text(encoding="utf-8")


def examples(verb: str) -> list[str]:
    """The lines under "Example:" of a command's help, without the words after three blanks."""
    epilog = TABLE[verb].load().epilog or ""
    block = re.search(r"^Examples?:\n((?:  .*\n?)+)", epilog, re.MULTILINE)
    return [] if block is None else [re.split(r" {3,}", line.strip())[0] for line in block[1].splitlines()]


#: Commands whose first example is run among the fast tests.
FAST = ("approx", "plan", "info", "convert", "verify")
LINES = [
    pytest.param(verb, line, marks=() if verb in FAST and i == 0 else pytest.mark.slow)
    for verb in TABLE
    for i, line in enumerate(examples(verb))
    if not line.startswith("gnuplot>")
]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Everything that the examples name, small."""
    folder = tmp_path_factory.mktemp("examples")
    rng = np.random.default_rng(0)
    A = rng.normal(size=(130, 5)) @ rng.normal(size=(5, 130)) + 1e-5 * rng.normal(size=(130, 130))
    for name in "ABGWXY":
        np.save(folder / f"{name}.npy", A if name == "A" else rng.normal(size=A.shape))
    with h5py.File(folder / "data.h5", "w") as data, h5py.File(folder / "huge.h5", "w") as huge:
        data["X"], huge["X"] = A, A
    with h5py.File(folder / "layers.h5", "w") as layers:
        layers["a"], layers["b"] = A[:20, :10], A[:10, :20]
    cells = "".join(f"{i + 1} {i + 1} {2 + i}\n" for i in range(130))
    for name in ("A.mtx", "big.mtx"):
        (folder / name).write_text(f"%%MatrixMarket matrix coordinate real general\n130 130 130\n{cells}")
    weight = A[:20, :20].astype("<f4").tobytes()
    header = b'{"layers.0":{"dtype":"F32","shape":[20,20],"data_offsets":[0,1600]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weight)
    bin = folder / "bin"
    bin.mkdir()
    for name, does in {
        "lowrank": f'exec "{sys.executable}" -m lowrank_cli "$@"',
        "producer": "exec cat A.npy",
        "consumer": "exec cat > /dev/null",
    }.items():
        (bin / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin / name).chmod(0o755)
    call(folder, "lowrank approx A.npy -k 12 -q -o A.svd.npz")
    call(folder, "lowrank approx A.npy -m id -k 12 -q -o A.id.npz")
    call(
        folder, "cp A.svd.npz F.npz; cp A.id.npz G.npz; gzip -k A.mtx; mkdir -p out; lowrank convert F.npz out/A.h5 -q"
    )
    return folder


def call(folder: Path, line: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("verb", TABLE)
def test_every_help_has_an_example_of_its_command(verb):
    found = examples(verb)
    assert found and any(f"lowrank {verb}" in line for line in found)


@pytest.mark.parametrize(("verb", "line"), LINES)
def test_an_example_of_the_help_runs(verb, line, files, tmp_path):
    # some write what others read
    done = call(shutil.copytree(files, tmp_path / "own"), line)
    assert done.returncode == 0, f"$ {line}\n{done.stderr[-500:]}"


@pytest.mark.parametrize("verb", TABLE)
def test_the_man_page_has_every_option_and_example(verb):
    section = PAGE.split(f"\n.SH LOWRANK {verb.upper()}\n", 1)[1].split("\n.SH ", 1)[0].replace("\\-", "-")
    for param in TABLE[verb].load().params():
        assert all(f"\\fB{flag}\\fR" in section for flag in param.flags), param.name
    for line in examples(verb):
        assert line.split(" -")[0].replace("'", "\\(aq").replace("~", "\\(ti") in section


def test_the_man_page_is_well_formed():
    assert PAGE.startswith(f'.TH LOWRANK 1 "" "lowrank {lowrank_cli.__version__}"')
    macros = {line.split()[0] for line in PAGE.splitlines() if line.startswith(".")}
    assert macros <= {".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".I", ".nf", ".fi"}
    assert not [line for line in PAGE.splitlines() if line.startswith("'")]
    assert PAGE.count(".nf") == PAGE.count(".fi")
    # a tag takes the line after it, and every escape is one of those that are meant
    lines = PAGE.splitlines()
    assert all(lines[i + 1] and lines[i + 2] for i, line in enumerate(lines) if line == ".TP")
    assert set(re.findall(r"\\(?:\(..|f.|.)", PAGE)) <= {
        "\\-", "\\e", "\\&", "\\fB", "\\fI", "\\fR", "\\(ha", "\\(ti", "\\(aq", "\\(ga",
    }  # fmt: skip


def test_the_wheel_puts_the_man_page_where_man_looks():
    import tomllib

    project = tomllib.loads((Path(manual.__file__).parents[1] / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/lowrank.1": "share/man/man1/lowrank.1"}
