"""Commands whose system calls fail, stop short or are the last: builds ``shim.c`` and runs ``sweep`` under it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ERRORS = ["EIO", "ENOSPC", "EINTR", "EDQUOT", "EXDEV", "EOPNOTSUPP"]
FACTORS = (".npz", ".h5", "/", ".safetensors", ".mat")
MATRICES = (".npy", ".npz", ".h5", ".mtx", ".csv", ".mat", ".safetensors", ".pgm")


def shim(folder: Path) -> Path:
    """The library that is loaded before libc."""
    made = folder / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, HERE / "shim.c", "-ldl"], check=True)
    return made


def outputs() -> dict[str, dict[str, Any]]:
    """A job for every kind of output: what is there before, and the command that replaces it."""
    jobs = {}
    for suffix in FACTORS:
        command = ["approx", "in/A.npy", "-o", f"out/F{suffix}", "-k"]
        jobs[f"factors in {suffix}"] = {"old": [*command, "2"], "argv": [*command, "3"]}
    for suffix in MATRICES:
        jobs[f"a matrix in {suffix}"] = {
            verb: ["convert", f"in/{name}.npy", f"out/M{suffix}"] for verb, name in (("old", "B"), ("argv", "C"))
        }
    return jobs


def checkpointed() -> dict[str, Any]:
    """A job with a checkpoint, in a folder beside the input."""
    command = ["approx", "in/A.npy", "-o", "out/F.npz", "--method", "cur", "--checkpoint", "in/kept", "-k"]
    return {"old": [*command, "2"], "argv": [*command, "3"]}


def sweep(folder: Path, jobs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What came out of every job."""
    rng = np.random.default_rng(0)
    (folder / "in").mkdir()
    np.save(folder / "in" / "A.npy", rng.standard_normal((40, 8)) @ rng.standard_normal((8, 30)))
    for name in "BC":
        # whole numbers of a byte, which every format holds
        np.save(folder / "in" / f"{name}.npy", rng.integers(0, 255, (12, 9)).astype(float))
    done = subprocess.run(
        [sys.executable, HERE / "sweep.py", folder, json.dumps(jobs)],
        env={**os.environ, "LD_PRELOAD": str(shim(folder)), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mounted(options: str, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A bash script in a fresh tmpfs; where nothing may be mounted, under a limit on the size of a file instead."""
    size = int(options.split("size=")[1].split("k")[0])
    with tempfile.TemporaryDirectory() as folder:
        mount = f"mount -t tmpfs -o {options} tmpfs {folder} 2>/dev/null && cd {folder} || exit 99\n"
        told = {"env": {**os.environ, **env}, "capture_output": True, "text": True, "cwd": folder}
        done = subprocess.run(["unshare", "-Urm", "bash", "-c", mount + script], **told)
        if done.returncode == 99 or "unshare" in done.stderr:
            return subprocess.run(["bash", "-c", f"ulimit -f {size}\n{script}"], **told)
        return done
