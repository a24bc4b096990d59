"""Real processes: the command as installed, and the same process with a stand-in library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "lowrank_cli"]
STANDIN = [sys.executable, str(Path(__file__).with_name("standin.py"))]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOWRANK_DEBUG", "PYTHONUNBUFFERED"))}
    return {**kept, **more}


def one_error(done: subprocess.CompletedProcess, code: int) -> str:
    """The one line of an error that ended with this exit code."""
    assert done.returncode == code, done
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith("lowrank: error: "), done.stderr
    return lines[0]


@pytest.fixture
def matrix(tmp_path) -> str:
    path = tmp_path / "A.npy"
    np.save(path, np.arange(30.0).reshape(6, 5))
    return str(path)


@pytest.fixture
def shell(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """shell(line) runs bash; $L is the command, $S the command with the stand-in library."""

    def call(line: str, **env: str) -> subprocess.CompletedProcess:
        prelude = 'L() { "$PYTHON" -m lowrank_cli "$@"; }; S() { "$PYTHON" "$STANDIN" "$@"; }\n'
        return subprocess.run(
            ["bash", "-c", prelude + line],
            cwd=tmp_path,
            env=environment(PYTHON=sys.executable, STANDIN=STANDIN[1], **{"LOWRANK_STANDIN": "quick", **env}),
            capture_output=True,
            timeout=120,
        )

    return call
