"""Commands that are sent signals: while they compute, read and write, and at random moments of their lives."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What a machine that is busy with other things may add to the second in which a signal acts.
BUSY = 3.0
#: Work of some seconds each, by what a signal meets.
JOBS: dict[str, dict[str, Any]] = {
    "a dense SVD in LAPACK": {"phase": "lapack", "argv": "approx square.npy -k 700 -q -o F.npz"},
    "passes, one thread": {"phase": "passes", "argv": "approx large.npy -k 60 --threads 1 -q -o F.npz"},
    "passes, a pool of threads": {"phase": "passes", "argv": "approx large.npy -k 60 --threads 3 -q -o F.h5"},
    "text being read": {"phase": "read", "argv": "approx table.csv -k 3 -q -o F.npz"},
    "packed HDF5 being read": {"phase": "read", "argv": "approx packed.h5 -k 3 -q -o F.npz"},
    "text being written": {"phase": "text", "argv": "convert square.npy F.csv -q"},
    "an array being written": {"phase": "write", "argv": "convert large.npy F.h5 -q"},
}


def square(path: Path) -> None:
    np.save(path, np.random.default_rng(0).standard_normal((1400, 1400)))


def large(path: Path) -> None:
    np.save(path, np.random.default_rng(0).standard_normal((4000, 2500)))


def table(path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((500, 40))
    path.write_text(40 * "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()))


def packed(path: Path) -> None:
    """Eight chunks, packed once."""
    chunk = zlib.compress(np.random.default_rng(0).integers(0, 99, (500, 2500)).astype(float), 1)
    with h5py.File(path, "w") as file:
        made = file.create_dataset("A", (4000, 2500), "f8", chunks=(500, 2500), compression="gzip")
        for row in range(0, 4000, 500):
            made.id.write_direct_chunk((row, 0), chunk)


INPUTS = {"square.npy": square, "large.npy": large, "table.csv": table, "packed.h5": packed}


def signalled(folder: Path, times: int, *names: str) -> dict[str, dict[str, Any]]:
    """Of each job so many signals that met it: how many were sent, how many met it, the seconds until the process had
    ended, those after a second Ctrl-C, and under ``wrong`` what may not be.

    Right is 128 and the number of the signal as exit code, the old output or the whole new one, nothing else left and
    nothing said; or exit 0 and the new output, where the work was over.
    """
    (folder / "work").mkdir()
    jobs = {name: {**JOBS[name], "argv": JOBS[name]["argv"].split()} for name in names or JOBS}
    for name in {job["argv"][1] for job in jobs.values()}:
        INPUTS[name](folder / "work" / name)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("struck.py"), folder, json.dumps(jobs), str(times), str(times)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {name: counted(shots) for name, shots in json.loads(done.stdout).items()}


def counted(shots: list[dict[str, Any]]) -> dict[str, Any]:
    met = [shot for shot in shots if shot["met"]]
    late = [f"acted after {shot['seconds']:.1f} s" for shot in shots if shot["seconds"] > 1 + BUSY]
    return {
        "sent": len(shots),
        "met": len(met),
        "seconds": sorted(shot["seconds"] for shot in met if not shot["twice"]),
        "second": sorted(shot["seconds"] for shot in met if shot["twice"]),
        "wrong": [shot["wrong"] for shot in shots if shot["wrong"]] + late,
    }


def anywhere(folder: Path, times: int) -> dict[str, Any]:
    """Send so many signals; what came of them, and under ``wrong`` what may not be.

    The output is the old one, or the new one; nothing else is left. The exit code is 128 and the signal, that of the
    bare signal while the interpreter itself begins or ends, or 0 when it was over.
    """
    rng = np.random.default_rng(0)
    np.save(folder / "A.npy", rng.standard_normal((1500, 900)))

    def start(rank: int) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "lowrank_cli", "approx", "A.npy", "-k", str(rank), "-q", "-o", "F.h5"]
        return subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(20).wait() == 0
    new = (folder / "F.h5").read_bytes()
    (folder / "F.h5").unlink()
    begun = time.monotonic()
    assert start(2).wait() == 0
    seconds, old = time.monotonic() - begun, (folder / "F.h5").read_bytes()
    chance, count, wrong = random.Random(times), dict.fromkeys(("bare", "during", "after", "wrong"), 0), []
    for shot in range(times):
        (folder / "F.h5").write_bytes(old)
        number, child = SIGNALS[shot % 3], start(20)
        time.sleep(chance.uniform(0.1, 1.3) * seconds)
        child.send_signal(number)
        code = child.wait(60)
        when = {0: "after", -number: "bare", 128 + number: "during"}.get(code, "wrong")
        left = (folder / "F.h5").read_bytes()
        if when == "wrong" or left not in ((new,) if when == "after" else (old, new)):
            wrong.append(f"{number.name}: exit {code}")
        if sorted(path.name for path in folder.iterdir()) != ["A.npy", "F.h5"]:
            wrong.append(f"{number.name}: left {sorted(path.name for path in folder.iterdir())}")
        count[when] += 1
    return {**count, "signals": times, "wrong": wrong}
