"""Run as a program: commands that are sent signals while they compute, read or write. Prints what came of it as JSON.

The libraries are loaded once and every command is a forked child, so that a shot costs what its work costs. A child
says when its phase begins and when it is over; the signal is sent a random time after the first.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Longest time from the beginning of the phase to the signal, and between two of them, in seconds.
DELAY, BETWEEN = 0.4, 0.05


def tell(pipe: int, begins: tuple[Any, str], ends: tuple[Any, str]) -> None:
    """Have a phase announced on the pipe: when the first function is called first, and when the second returns then."""
    begun = False

    def replaced(owner: Any, name: str, before: bytes, after: bytes) -> None:
        real = getattr(owner, name)

        def announced(*args: Any, **more: Any) -> Any:
            nonlocal begun
            if before and not begun:
                begun = True
                os.write(pipe, before)
            result = real(*args, **more)
            if after and begun:
                os.write(pipe, after)
            return result

        setattr(owner, name, announced)

    if begins == ends:
        replaced(*begins, b"(", b")")
    else:
        replaced(*begins, b"(", b"")
        replaced(*ends, b"", b")")


def watched(phase: str) -> tuple[tuple[Any, str], tuple[Any, str]]:
    """The function with which a phase begins, and that with which it is over."""
    import numpy as np

    from lowrank_cli.algorithms.krylov import BlockKrylov
    from lowrank_cli.formats import atomic, opening, text_writer

    lapack, passes = (np.linalg, "svd"), (BlockKrylov, "start")
    read, write = (opening, "_from_file"), (atomic, "fill")
    pairs = {"lapack": (lapack, lapack), "passes": (passes, write), "read": (read, read), "write": (write, write)}
    return {**pairs, "text": ((text_writer, "_table"), write)}[phase]


def start(job: dict[str, Any], folder: Path) -> tuple[int, int]:
    """The child and the pipe on which it speaks."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    os.close(read)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.chdir(folder / "work")
    sys.argv = ["lowrank", *job["argv"]]
    from lowrank_cli.__main__ import main

    tell(write, *watched(job["phase"]))
    status = 99
    try:
        main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    finally:
        os._exit(status)


def whole(job: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """The new output, of a command that nothing interrupts."""
    if "whole" not in job:
        child, pipe = start(job, folder)
        assert os.waitpid(child, 0)[1] == 0
        os.close(pipe)
        job["whole"] = {
            path.name: path.read_bytes() for path in (folder / "work").iterdir() if path.name not in job["inputs"]
        }
    return dict(job["whole"])


def shot(job: dict[str, Any], folder: Path, number: int, twice: bool, delay: float) -> dict[str, Any]:
    """One command and its signal. seconds: from the signal, or the second one, to the end of the process."""
    before = {path.name: path.read_bytes() for path in (folder / "work").iterdir() if path.name.startswith("F")}
    child, pipe = start(job, folder)
    said = os.read(pipe, 1)
    time.sleep(delay)
    os.kill(child, number)
    begun = time.monotonic()
    if twice:
        time.sleep(BETWEEN)
        os.kill(child, number)
        begun = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - begun
    said += os.read(pipe, 100)
    os.close(pipe)
    after = {path.name: path.read_bytes() for path in (folder / "work").iterdir() if path.name not in job["inputs"]}
    met, words = code == 128 + number, (folder / "said").read_text()
    wrong = None
    if words or not (met or code == 0) or after not in ([before, whole(job, folder)] if after != before else [before]):
        wrong = f"{number}: exit {code}, left {sorted(after)}, said {words!r}"
    if code == 0 and after == before:
        wrong = "exit 0 and the old output"
    for name, content in before.items():
        (folder / "work" / name).write_bytes(content)
    return {"met": met and said == b"(", "seconds": seconds, "wrong": wrong, "twice": twice}


def main() -> None:
    folder, jobs, times, seed = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    import h5py  # noqa: F401
    import scipy.sparse  # noqa: F401

    import lowrank_cli.cli.approx
    import lowrank_cli.cli.convert
    import lowrank_cli.formats.opening  # noqa: F401

    chance, found = random.Random(seed), {}
    for name, job in jobs.items():
        job["inputs"] = [path.name for path in (folder / "work").iterdir()]
        target = next(word for word in job["argv"] if word.startswith("F."))
        (folder / "work" / target).write_bytes(b"old")
        shots, longest = [], DELAY
        # what came too late shows nothing, and is done again, sooner
        while sum(one["met"] for one in shots) < times and len(shots) < 2 * times + 5:
            at = len(shots)
            number, twice = (signal.SIGINT, True) if at % 4 == 3 else (SIGNALS[at % 4], False)
            shots.append(shot(job, folder, number, twice, chance.uniform(0, longest)))
            longest *= 1 if shots[-1]["met"] else 0.8
        found[name] = shots
        for path in [*(folder / "work").iterdir()]:
            if path.name not in job["inputs"]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
