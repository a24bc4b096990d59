"""The command as a whole process, against the least that such a process costs, and its first run without a cache.

    python bench/process.py [--rounds N] [--scale S]

Wall and processor seconds, medians; processes of all kinds take turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from arena import alternate
from cases import dense, divided, sparse
from report import arguments, figure, headline, machine, table

COLD_ROUNDS = 3
BARE = '''
import typer

app = typer.Typer()


def show_version(asked: bool) -> None:
    if asked:
        print("bare 0.1.0")
        raise typer.Exit()


@app.callback()
def main(version: bool = typer.Option(False, "--version", callback=show_version, is_eager=True)) -> None:
    """An application that does nothing."""


@app.command()
def approx(path: str, rank: int = typer.Option(10, help="The rank.")) -> None:
    """Do nothing."""


app()
'''


def main() -> None:
    asked = arguments(__doc__, rounds=21).parse_args()
    print(headline(machine(), asked.scale), flush=True)
    with tempfile.TemporaryDirectory() as name:
        start_up(Path(name), asked.rounds)
        first_runs(Path(name), min(asked.rounds, COLD_ROUNDS), asked.scale)


def start_up(folder: Path, rounds: int) -> None:
    """A small matrix, help and version; each is named with what it is held against."""
    small, bare = folder / "small.npy", folder / "bare.py"
    np.save(small, np.random.default_rng(0).standard_normal((200, 100)))
    bare.write_text(BARE)
    commands = {
        "python -c 'import numpy'": (None, [sys.executable, "-c", "import numpy"]),
        "lowrank approx, --json": ("python -c 'import numpy'", [lowrank(), "approx", str(small), "--json"]),
        "lowrank approx, table": ("python -c 'import numpy'", [lowrank(), "approx", str(small)]),
    }
    for flag in ("--help", "--version"):
        commands[f"bare typer {flag}"] = (None, [sys.executable, str(bare), flag])
        commands[f"lowrank {flag}"] = (f"bare typer {flag}", [lowrank(), flag])
    found = alternate({name: command for name, (_, command) in commands.items()}, rounds, clocked)
    medians = {name: [statistics.median(each) for each in zip(*times, strict=True)] for name, times in found.items()}
    rows = []
    for name, (against, _) in commands.items():
        ratios = ["", ""]
        if against is not None:
            ratios = [f"{mine / other:.2f}" for mine, other in zip(medians[name], medians[against], strict=True)]
        rows.append((name, *(f"{x:.3f}" for x in medians[name]), against or "", *ratios))
    head = ("process", "wall", "processor", "against", "wall ratio", "processor ratio")
    table("Whole processes, seconds; the matrix is 200 x 100", head, rows)


def first_runs(folder: Path, rounds: int, scale: float) -> None:
    """Runs that may want compiled kernels, with an empty cache of them and with a full one."""
    from scipy.io import mmwrite

    matrix, entries = folder / "matrix.npy", folder / "entries.mtx"
    np.save(matrix, dense("1/i", 4000, 3000, "float64", scale).arrays[0])
    mmwrite(entries, sparse(200_000, 50_000, 2_000_000, scale).arrays[0])
    approx = [lowrank(), "approx", "-k", str(divided(50, scale)), "--certify", "none"]
    commands = {
        "svd, 4000 x 3000": [*approx, str(matrix)],
        "id, 4000 x 3000": [*approx, str(matrix), "--method", "id"],
        "svd, sparse, 2,000,000 entries": [*approx, str(entries)],
    }
    rows = []
    for name, command in commands.items():
        warm = folder / f"cache {len(rows)}"
        warm.mkdir(mode=0o700)
        jobs = {"cold": partial(cold, command), "warm": partial(clocked, command, warm)}
        found = alternate(jobs, rounds, lambda job: job())
        before, after = (statistics.median(wall for wall, _ in found[kind]) for kind in ("cold", "warm"))
        rows.append((name, figure(before), figure(after), f"{before - after:.2f}", kernels(command)))
    head = ("run", "first", "later", "difference", "kernels")
    table("First run, without compiled kernels, seconds", head, rows)


def kernels(command: list[str]) -> str:
    """What the run says it used: without numba in it, there was nothing to compile."""
    shown = subprocess.run([*command, "--json"], check=True, capture_output=True).stdout
    return ", ".join(json.loads(shown)["method_facts"].get("kernels", ()))


def cold(command: list[str]) -> tuple[float, float]:
    """With a cache directory of its own, which is empty (and private, or it would not be used)."""
    with tempfile.TemporaryDirectory() as empty:
        return clocked(command, Path(empty))


def clocked(command: list[str], cache: Path | None = None) -> tuple[float, float]:
    """Wall and processor seconds of a process, from before it starts until it has ended."""
    environment = dict(os.environ)
    # an installed package has its bytecode; the warm-up round leaves that of a checkout behind
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if cache is not None:
        environment.pop("NUMBA_CACHE_DIR", None)
        environment["XDG_CACHE_HOME"] = str(cache)
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def lowrank() -> str:
    """The command that was installed beside this interpreter."""
    return str(Path(sys.executable).with_name("lowrank"))


if __name__ == "__main__":
    main()
