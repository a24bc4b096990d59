"""Asking for help loads nothing heavy. Asserted on what was imported, not on time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lowrank_cli.cli import TABLE

from .conftest import COMMAND, environment

HEAVY = {"numpy", "scipy", "numba", "h5py", "rich", "pydantic", "llvmlite"}


def imported(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], *argv], env=environment(), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-300:]
    lines = done.stderr.decode().splitlines()
    names = {line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")}
    assert "typer" in names
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["list", "methods"], ["list", "formats", "--json"]])
def test_asking_loads_no_heavy_library(argv):
    assert not HEAVY & imported(*argv)


@pytest.mark.parametrize("verb", TABLE)
def test_the_help_of_a_command_loads_no_heavy_library(verb):
    assert not HEAVY & imported(verb, "--help")


@pytest.mark.parametrize(
    "argv",
    [
        ["approx"],
        ["approx", "--method", "id"],
        ["spectrum"],
        ["plan"],
        ["plan", "--dry-run"],
        ["compare"],
        ["norm"],
        ["msign"],
    ],
)
def test_a_small_dense_matrix_loads_numpy_and_no_other_heavy_library(argv, matrix):
    assert HEAVY & imported(argv[0], matrix, *argv[1:], "--json") == {"numpy"}


def test_importing_the_package_loads_nothing_else():
    code = "import sys, lowrank_cli; print(*[m for m in sys.modules if m.startswith('lowrank_cli.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.stdout.split() == []
