"""What was done to outputs, and what became of them: writes the tables of docs/reliability.md.

    PYTHONPATH=tests python bench/reliability.py [--step N] [--signals N] [--cuts N] > docs/reliability.md

--only-signals: their tables alone. The experiments are those of tests/faults.
Needs gcc; the power cuts need a disk image that may be mounted (root on
Linux), and are left out, and said to be, where it may not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from faults.injection import ERRORS, outputs, sweep
from faults.power import cuts
from faults.signals import JOBS, anywhere, signalled
from report import headline, machine, table

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "tests" / "data" / "0.1.0"

TEXT = """# Reliability, in figures

An output is the old one or the new one, whole, whatever happens; what was said to be written is on the disk; a damaged
file of factors gives an error and never another number. This page counts how often that was tried, and what was lost.
`PYTHONPATH=tests python bench/reliability.py > docs/reliability.md` does it all again and writes this page.

- **Calls.** Every output of the first table was replaced once for every system call that the command makes on its
  files: `open`, `read`, `write`, `fstat`, `fallocate`, `fchmod`, `fsync`, `rename`, `mkdir`, `close`. That call failed
  with each of {errors}, or moved half of its bytes, or was the last one
  before SIGKILL. Right is exit 0 with the whole new output, byte for byte, or exit 4 (the input failed) or 5 (the
  output) with one line, the old output and no temporary file. After a kill the next run removes what is left.
- **Signals.** SIGINT, SIGTERM and SIGHUP at random moments of a command that computes, reads or writes, and one SIGINT
  in four followed by another. Right is an end with 128 and the number of the signal as exit code, the old output or
  the whole new one, no temporary file and not a word. What came when the work was over was sent again and is not
  counted. The seconds are those from the signal to the end of the process;
  while the kernel syncs a file, a process ends no sooner than that. A table of its own has commands that were struck
  anywhere in their lives, while Python began or ended too.
- **Power.** A program saves factors again and again on a file system of its own, ext4. Its disk image is copied at
  random moments, mounted, and read. Right is what was last said to be done, or something later, whole.
- **Damage.** Every bit of a small file of factors is flipped, one at a time. Right is an error, or the same numbers.
- **Fuzzing.** Our own parsers, fed with inputs that coverage of their code guides (atheris). Right is a matrix, or a
  refusal of one line, in 10 seconds and 2 GiB; where there are two readers, both take an input with the same bits, or
  neither does, which was asked in the second of two rounds. This takes an hour and is not done again with this page;
  the table sums up `bench/fuzzing.jsonl`. What was wrong is mended, and its input is kept in `tests/fuzz/corpus`.

The catalogue of what can go wrong is `tests/faults/rows.py`: 176 rows, each with a test of its name. `make test` runs a
short form of all this, `make test-slow` the long one.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, default=1, help="every which call goes wrong (1)")
    parser.add_argument("--signals", type=int, default=210, help="how many signals (210)")
    parser.add_argument("--only-signals", action="store_true", help="leave the rest out")
    parser.add_argument("--cuts", type=int, default=50, help="how often the power is cut (50)")
    asked = parser.parse_args()
    if asked.only_signals:
        with ThreadPoolExecutor(3) as pool:
            print_signals(struck(pool, asked.signals), headline(machine()))
        return
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        calls = {name: pool.submit(one_output, name, job, asked.step) for name, job in outputs().items()}
        stopped = struck(pool, asked.signals)
        power = pool.submit(in_folder, cuts, asked.cuts)
        damage = list(damaged())
        print(TEXT.format(errors=", ".join(ERRORS)))
        print(f"{headline(machine())}. It took {(wait(calls, *stopped.values(), power) - began) / 60:.0f} minutes.")
    results = {name: done.result() for name, done in calls.items()}
    every = "every call" if asked.step == 1 else f"every {asked.step}th call"
    table("Calls", ("output", "failed or short", "killed", "wrong"), call_rows(results), every)
    print_signals(stopped)
    if power.exception() is None:
        lost = power.result()
        table("Power", ("cuts", "files read", "lost"), [(lost["cuts"], lost["files"], len(lost["wrong"]))])
    else:
        print("\n**Power**: not tried, since no disk image could be made and mounted here.")
    table("Damage", ("file", "bits flipped", "refused", "the same numbers", "other numbers"), damage)
    print_fuzzing()


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


def struck(pool: ThreadPoolExecutor, times: int) -> dict[str, Any]:
    """The futures of what signals do, by what they meet."""
    each = -(-times // len(JOBS))
    work = {
        name: pool.submit(in_folder, lambda folder, n, name=name: signalled(folder, n, name)[name], each)
        for name in JOBS
    }
    return {**work, "a moment of its life": pool.submit(in_folder, anywhere, times // 4)}


def print_signals(futures: dict[str, Any], where: str = "") -> None:
    done = {name: future.result() for name, future in futures.items()}
    anytime = done.pop("a moment of its life")
    head = ("what a signal met", "times", "median s", "latest s", "after a second Ctrl-C, median s", "wrong")
    rows = [
        (
            name,
            one["met"],
            *(f"{x:.2f}" for x in (median(one["seconds"]), max(one["seconds"]), median(one["second"]))),
            len(one["wrong"]),
        )
        for name, one in done.items()
    ]
    seconds, again = ([x for one in done.values() for x in one[key]] for key in ("seconds", "second"))
    spent = (f"{x:.2f}" for x in (median(seconds), max(seconds), median(again)))
    within = sum(x <= 1 for x in seconds)
    rows.append(
        ("all", sum(one["met"] for one in done.values()), *spent, sum(len(one["wrong"]) for one in done.values()))
    )
    table("Signals", head, rows, f"{within} of {len(seconds)} ended within a second" + (f"; {where}" if where else ""))
    head = (
        "signals anywhere in a life",
        "old output, 128 + n",
        "while Python began or ended",
        "came too late",
        "wrong",
    )
    table(
        "Signals at any moment",
        head,
        [(anytime["signals"], anytime["during"], anytime["bare"], anytime["after"], len(anytime["wrong"]))],
    )


def print_fuzzing() -> None:
    """What `python -m fuzz.run` told of its runs; edges: of the code of lowrank, in the last of them."""
    runs = [json.loads(line) for line in (HERE / "fuzzing.jsonl").read_text().splitlines()]
    rows: dict[str, list[Any]] = {}
    for run in runs:
        row = rows.setdefault(run["name"], [run["name"], 0, 0, 0, 0])
        row[1:] = row[1] + run["seconds"], row[2] + run["runs"], run["edges"], row[4] + run["found"]
    sums = [sum(row[column] for row in rows.values()) for column in (1, 2)]
    found = sum(row[4] for row in rows.values())
    days = sorted({run["date"] for run in runs})
    head = ("parser", "seconds", "inputs", "edges reached", "wrong")
    table("Fuzzing", head, [*rows.values(), ("all", *sums, "", found)], " to ".join(dict.fromkeys((days[0], days[-1]))))


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
