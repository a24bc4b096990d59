"""What the README promises a newcomer, in a clone that has nothing but the committed files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def git(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *args], capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_install_run_and_dist_work_in_a_fresh_clone(tmp_path):
    if shutil.which("git") is None or git("-C", str(ROOT), "rev-parse", "HEAD").returncode:
        pytest.skip("this is no git checkout, so there is nothing to clone")
    clone = tmp_path / "lowrank"
    assert git("clone", "-q", str(ROOT), str(clone)).returncode == 0
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "VIRTUAL_ENV"))}
    argv = ["make", "-C", str(clone), f"PY={getattr(sys, '_base_executable', sys.executable)}"]
    said = {}
    for target in ("install", "run", "dist"):
        done = subprocess.run([*argv, target], capture_output=True, text=True, env=env)
        if done.returncode and ("No matching distribution" in done.stderr or "onnection" in done.stderr):
            pytest.skip("no package index can be reached from here")
        assert done.returncode == 0, done.stdout + done.stderr
        said[target] = done.stdout
    assert "relative error" in said["run"]
    assert (clone / "samples" / "out" / "flow_vx.h5").is_file()
    assert git("-C", str(clone), "status", "--porcelain").stdout == ""
    (archive,) = (clone / "dist").glob("*.tar.gz")
    names = subprocess.run(["tar", "-tzf", str(archive)], capture_output=True, text=True, check=True).stdout
    for name in ("LICENSE", "README.md", "Makefile", "samples/flow_vx.npy", "samples/LICENSES.md", "tests/gallery.py"):
        assert f"/{name}\n" in names
