"""A command that is sent a signal at a random moment of its life."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def signalled(folder: Path, times: int) -> dict[str, Any]:
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
