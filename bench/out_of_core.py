"""A matrix in a file that is larger than the memory allowed: ours against what its user could do otherwise.

Once as .npy, for those that work on a memory map, and once in compressed chunks of .h5, for those that read blocks.
Each contender is a process of its own under a limit that is set from outside: a cgroup where one can be made, else
RLIMIT_DATA, which counts what a process allocates and not the pages of a map. The cache of the file is dropped before
every run where the system allows it; with --cached it stays, and the matrix in memory is what ours is compared with.
The error of each is measured afterwards, in the same way, by blocks of rows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from layouts import CHUNKS, FRAME, LEVEL, PEERS, RANK, ROWS, N, drop_cache, make, raw_read, relative_error

M, ALLOWED = 300_000, 2_500_000_000
LAYOUTS = {".npy": "by rows", ".h5": f"chunks of {CHUNKS[0]} x {CHUNKS[1]}, gzip {LEVEL}"}
HEAD = f"{'':30}{'s':>8}{'/ raw':>8}{'passes':>8}{'/ passes raw':>14}{'GB read':>9}{'a pass':>8}{'peak GB':>9}  error"


def confined(allowed: int) -> Path | None:
    """A new cgroup, of either version, with that limit of memory; None where none can be made."""
    for folder, limit in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        group = Path("/sys/fs/cgroup", folder, f"lowrank-bench-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(allowed))
                return group
        except OSError:
            pass
        group.rmdir()
    return None


def limited(argv: list[str], allowed: int) -> tuple[int, str, float, int]:
    """Exit code, standard output, seconds and peak resident bytes of a process that may take so much."""
    group = confined(allowed)

    def enter() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))

    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, preexec_fn=enter)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        out.seek(0)
        said = out.read()
    if group is not None:
        group.rmdir()
    return os.waitstatus_to_exitcode(status), said, seconds, used.ru_maxrss * 1024


@dataclasses.dataclass(frozen=True)
class Trial:
    """A file, where factors go, what a contender may take, how often each is timed, and whether the file stays in the
    system's cache."""

    path: Path
    out: Path
    allowed: int
    rounds: int
    cached: bool

    def ready(self) -> bool:
        """Whether the file is where it is to be: out of the cache, or in it, where a first read puts it."""
        return raw_read(self.path) > 0 if self.cached else drop_cache(self.path)

    def raw(self) -> float:
        return min(raw_read(self.path) for _ in range(self.rounds) if self.ready() or True)

    def ours(self, threads: int) -> list[str]:
        asked = ["-k", str(RANK), "--memory", str(self.allowed), "--threads", str(threads), "-o", str(self.out)]
        return [sys.executable, "-m", "lowrank_cli", "approx", str(self.path), *asked, "--json"]

    def peer(self, body: str) -> list[str]:
        return [sys.executable, "-c", FRAME.format(body=body), str(self.path), str(RANK), str(self.out), str(ROWS)]

    def line(self, name: str, argv: list[str], raw: float) -> float | None:
        """Run it, print what came of it, and return its seconds; None where it failed."""
        runs = []
        for _ in range(self.rounds):
            self.ready()
            code, said, seconds, peak = limited(argv, self.allowed)
            if code:
                last = said.strip().splitlines()[-1:] or ["killed, without a word"]
                print(f"{name:30}  ended with {code}: {last[0][:70]}", flush=True)
                return None
            runs.append((seconds, peak))
        seconds, peak = min(runs)[0], max(peak for _, peak in runs)
        report = json.loads(said[said.index("{") :])
        cells = [f"{'-':>8}", f"{'-':>14}", f"{'-':>9}", f"{'-':>8}"]
        if "ledger" in report:
            passes, run = report["ledger"]["passes"], report["run"]
            cells[:2] = [f"{passes:8}", f"{seconds / raw / passes:14.2f}"]
            if "read_amplification" in run:
                # how many times the matrix is read in a pass, chunks that are unpacked again counted again
                cells[2:] = [f"{run['bytes_read'] / 1e9:9.2f}", f"{run['read_amplification']:8.2f}"]
        cells = [f"{seconds:8.2f}", f"{seconds / raw:8.2f}", *cells, f"{peak / 1e9:9.2f}"]
        print(f"{name:30}" + "".join(cells) + f"  {relative_error(self.path, self.out):.10f}", flush=True)
        return seconds


def compare(suffix: str, m: int, allowed: int, rounds: int, cached: bool, folder: Path) -> None:
    """Print the table of one layout: beside peers, or where the file is cached beside the matrix in memory."""
    trial = Trial(folder / f"A{suffix}", folder / "F.npz", allowed, rounds, cached)
    make(trial.path, m)
    dropped, raw = trial.ready() and not cached, trial.raw()
    values, stored = 8 * m * N, trial.path.stat().st_size
    print(f"{suffix}, {LAYOUTS[suffix]}: {m} x {N}, {values / 1e9:.2f} GB in a file of {stored / 1e9:.2f} GB")
    print(f"allowed {allowed / 1e9:.2f} GB; cache dropped: {dropped}")
    print(f"raw read {raw:.2f} s, {values / raw / 1e9:.2f} GB/s of values\n\n{HEAD}", flush=True)
    ours = [trial.line(f"lowrank, {threads} threads", trial.ours(threads), raw) for threads in (1, 2)]
    if cached:
        roomy = dataclasses.replace(trial, allowed=3 * values)
        ours += [roomy.line(f"in memory, {threads} threads", roomy.ours(threads), raw) for threads in (1, 2)]
    for name, body in [] if cached else PEERS[suffix].items():
        trial.line(name, trial.peer(body), raw)
    if None not in ours:
        found = ", in memory ".join(f"{one / two / 2:.2f}" for one, two in zip(ours[::2], ours[1::2], strict=True))
        print(f"\nparallel efficiency of 2 workers: {found}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", choices=[suffix[1:] for suffix in LAYOUTS], help="only this one")
    parser.add_argument("--scale", type=int, default=1, help="divides rows and allowance: a trial")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cached", action="store_true", help="reading costs next to nothing; no peers")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to be measured")
    how = parser.parse_args()
    for suffix in [f".{how.layout}"] if how.layout else LAYOUTS:
        with tempfile.TemporaryDirectory(dir=how.folder) as folder:
            compare(
                suffix, M // how.scale, max(ALLOWED // how.scale, 400_000_000), how.rounds, how.cached, Path(folder)
            )


if __name__ == "__main__":
    main()
