"""What was done to outputs, and what became of them: writes the tables of docs/reliability.md.

    PYTHONPATH=tests python bench/reliability.py [--step N] [--signals N] [--cuts N] > docs/reliability.md

The experiments are those of tests/faults. Needs gcc; the power cuts need a disk image that may be mounted (root on
Linux), and are left out, and said to be, where it may not.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from faults.injection import ERRORS, outputs, sweep
from faults.power import cuts
from faults.signals import signalled
from report import headline, machine, table

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "data" / "0.1.0"

TEXT = """# Reliability, in figures

An output is the old one or the new one, whole, whatever happens; what was said to be written is on the disk; a damaged
file of factors gives an error and never another number. This page counts how often that was tried, and what was lost.
`PYTHONPATH=tests python bench/reliability.py > docs/reliability.md` does it all again and writes this page.

- **Calls.** Every output of the first table was replaced once for every system call that the command makes on its
  files: `open`, `read`, `write`, `fstat`, `fallocate`, `fchmod`, `fsync`, `rename`, `mkdir`, `close`. That call failed
  with each of {errors}, or moved half of its bytes, or was the last one
  before SIGKILL. Right is exit 0 with the whole new output, byte for byte, or exit 4 (the input failed) or 5 (the
  output) with one line, the old output and no temporary file. After a kill the next run removes what is left.
- **Signals.** SIGINT, SIGTERM and SIGHUP at random moments of a command. Right is the old output and no temporary file
  with 128 and the number of the signal as exit code, or the whole new output.
- **Power.** A program saves factors again and again on a file system of its own, ext4. Its disk image is copied at
  random moments, mounted, and read. Right is what was last said to be done, or something later, whole.
- **Damage.** Every bit of a small file of factors is flipped, one at a time. Right is an error, or the same numbers.

The catalogue of what can go wrong is `tests/faults/rows.py`: 176 rows, each with a test of its name. `make test` runs a
short form of all this, `make test-slow` the long one.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, default=1, help="every which call goes wrong (1)")
    parser.add_argument("--signals", type=int, default=200, help="how many signals (200)")
    parser.add_argument("--cuts", type=int, default=50, help="how often the power is cut (50)")
    asked = parser.parse_args()
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        calls = {name: pool.submit(one_output, name, job, asked.step) for name, job in outputs().items()}
        stopped = pool.submit(in_folder, signalled, asked.signals)
        power = pool.submit(in_folder, cuts, asked.cuts)
        damage = list(damaged())
        print(TEXT.format(errors=", ".join(ERRORS)))
        print(f"{headline(machine())}. It took {(wait(calls, stopped, power) - began) / 60:.0f} minutes.")
    results = {name: done.result() for name, done in calls.items()}
    every = "every call" if asked.step == 1 else f"every {asked.step}th call"
    table("Calls", ("output", "failed or short", "killed", "wrong"), call_rows(results), every)
    done = stopped.result()
    print_signals(done)
    if power.exception() is None:
        lost = power.result()
        table("Power", ("cuts", "files read", "lost"), [(lost["cuts"], lost["files"], len(lost["wrong"]))])
    else:
        print("\n**Power**: not tried, since no disk image could be made and mounted here.")
    table("Damage", ("file", "bits flipped", "refused", "the same numbers", "other numbers"), damage)


def wait(calls: dict[str, Any], *more: Any) -> float:
    """The moment when all of them were done."""
    for future in (*calls.values(), *more):
        with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
            future.result()
    return time.monotonic()


def in_folder(experiment: Any, times: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = experiment(Path(folder), times)
    return told(found)


def one_output(name: str, job: dict[str, Any], step: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return told(sweep(Path(folder), {name: {**job, "step": step, "errors": ERRORS, "kill": True}})[name])


def told(found: dict[str, Any]) -> dict[str, Any]:
    """What went wrong goes to standard error, in words."""
    for what in found["wrong"]:
        print(what, file=sys.stderr)
    return found


def call_rows(results: dict[str, dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for name, found in results.items():
        yield name, found["faults"], found["kills"], len(found["wrong"])
    counts = [sum(found[key] for found in results.values()) for key in ("faults", "kills")]
    yield "all", *counts, sum(len(found["wrong"]) for found in results.values())


def print_signals(done: dict[str, Any]) -> None:
    head = ("signals", "old output, 128 + n", "while Python began or ended", "came too late", "wrong")
    row = (done["signals"], done["during"], done["bare"], done["after"], len(done["wrong"]))
    table("Signals", head, [row])


def damaged() -> Iterator[tuple[Any, ...]]:
    """For each kind of file: how many flips were refused, changed nothing, or gave other numbers."""
    from lowrank_cli.errors import InputError
    from lowrank_cli.formats.saving import load_factors

    for suffix in (".npz", ".h5", ".mat", ".safetensors"):
        whole = (GOLDEN / f"svd{suffix}").read_bytes()
        wanted = load_factors(str(GOLDEN / f"svd{suffix}")).factor.arrays()
        counts = dict.fromkeys(("refused", "same", "other"), 0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"F{suffix}"
            for bit in range(8 * len(whole)):
                changed = bytearray(whole)
                changed[bit // 8] ^= 1 << bit % 8
                path.write_bytes(changed)
                try:
                    arrays = load_factors(str(path)).factor.arrays()
                except InputError:
                    counts["refused"] += 1
                else:
                    same = all(np.array_equal(arrays[name], wanted[name]) for name in wanted)
                    counts["same" if same else "other"] += 1
        yield f"`{suffix}`", 8 * len(whole), *counts.values()


if __name__ == "__main__":
    main()
