"""The command line in this process, with methods that compute nothing."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import pytest

from lowrank_cli import api
from lowrank_cli.algorithms import TABLE
from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.registry import Entry

from . import standin


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def library(monkeypatch) -> standin.Library:
    for name, row in (("svd", "SVD"), ("id", "ID"), ("cr", "CR")):
        monkeypatch.setitem(TABLE, name, Entry(f"{standin.__name__}:{row}", "stand-in"))
    made = standin.Library()
    monkeypatch.setattr(api, "run", made.run)
    return made


def refusal(result: Result, code: int = 2) -> str:
    """The one line that a command line is refused with, and nothing else printed."""
    assert result.code == code and result.out == "", result
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("lowrank: error: "), result.err
    return lines[0]


@pytest.fixture
def command(monkeypatch) -> Callable[..., Result]:
    """command(*argv) runs a command line with the real library and gives its exit code and what it printed."""

    def call(*argv: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdout", out)
        code = run(list(argv), Terminal(out, err, None, argv))
        return Result(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def lowrank(library, command) -> Callable[..., Result]:
    """The same with a library that stands in."""
    return command


@pytest.fixture
def matrix(tmp_path) -> str:
    return standin.save_matrix(tmp_path / "A.npy")
