"""Run as a program under ``shim.c``: a command once for every call it makes on its files, that call failing or fatal.

The libraries are loaded once; every run is a forked child, so a run costs milliseconds. Prints what came out as JSON.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import importlib
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

FAIL, SHORT, KILL = range(3)
ERRORS = ("EIO", "ENOSPC", "EINTR", "EDQUOT", "EXDEV", "EOPNOTSUPP")
TEMPORARY = re.compile(r"\.[^/]*\.lowrank-\d+-[0-9a-f]{8}\.(tmp|old)(/.*)?$")
Tree = dict[str, bytes]


@dataclasses.dataclass
class Run:
    """One run of the command. struck: the call that went wrong, None when it was over before."""

    code: int
    said: str
    calls: list[list[str]]
    struck: list[str] | None


def tree(folder: Path) -> Tree:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Sweep:
    """A command that reads from ``in`` and writes to ``out``, both in ``folder``."""

    def __init__(self, folder: Path, argv: list[str]):
        self.folder, self.argv = folder, argv
        self.old: Tree = {}
        self.new: Tree = {}
        self.given: Tree = {}
        self.out, self.notes = folder / "out", folder.with_name(folder.name + ".notes")
        self.out.mkdir()
        self.notes.mkdir()
        self.count = {"runs": 0, "faults": 0, "kills": 0}
        self.wrong: list[str] = []

    def start(self, argv: list[str], nth: int = 0, code: int = 0, action: int = FAIL, wait: int = -1) -> int:
        """The process of a run; with ``wait`` it begins when that pipe closes."""
        child = os.fork()
        if child:
            self.count["runs"] += 1
            return child
        notes = self.notes / str(os.getpid())
        os.dup2(os.open(f"{notes}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(self.folder)
        if wait >= 0:
            os.read(wait, 1)
        sys.argv = ["lowrank", *argv]
        from lowrank_cli.__main__ import main

        ctypes.CDLL(None).fault_arm(f"{self.folder}/".encode(), f"{notes}.log".encode(), nth, code, action)
        status = 99
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else int(left.code is not None)
        finally:
            modules = [name for name in sys.modules if name.split(".")[0] in ("lowrank_cli", "numpy", "h5py", "scipy")]
            Path(f"{notes}.modules").write_text("\n".join(modules))
            os._exit(status)

    def end(self, child: int) -> Run:
        limit = time.monotonic() + 60
        while not (done := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > limit:
                os.kill(child, signal.SIGKILL)
                self.wrong.append("a run did not end")
            time.sleep(0.002)
        notes = self.notes / str(child)
        said = Path(f"{notes}.err").read_text()
        log = Path(f"{notes}.log")
        calls = [line.split(" ", 1) for line in log.read_text().splitlines()] if log.exists() else []
        struck = next(([call[1:], path] for call, path in calls if call.startswith("!")), None)
        return Run(os.waitstatus_to_exitcode(done[1]), said, calls, struck)

    def run(self, *more: int, argv: list[str] | None = None) -> Run:
        return self.end(self.start(argv or self.argv, *more))

    def prepare(self, old: list[str]) -> Run:
        """What is there before, what a run makes of it, and the libraries that it takes."""
        first = self.run(argv=old)
        self.old = tree(self.out)
        for name in max(self.notes.glob("*.modules"), key=os.path.getmtime).read_text().split():
            try:
                importlib.import_module(name)
            except ImportError:
                pass
        whole = self.run()
        self.new, self.given = tree(self.out), tree(self.folder / "in")
        if first.code or whole.code or self.old == self.new:
            raise RuntimeError(f"the command itself does not work: {first.said}{whole.said}")
        return whole

    def restore(self) -> None:
        shutil.rmtree(self.out)
        self.out.mkdir()
        for name, content in self.old.items():
            (self.out / name).parent.mkdir(parents=True, exist_ok=True)
            (self.out / name).write_bytes(content)

    def each(self, step: int, first: int, try_: Callable[[int], bool]) -> None:
        """try_ with every ``step``-th number until it says that there was no such call."""
        number = first
        while len(self.wrong) < 10 and try_(number):
            number += step

    def fail(self, number: int, code: int, action: int = FAIL) -> bool:
        self.restore()
        run = self.run(number, code, action)
        if run.struck is None:
            return False
        self.count["faults"] += 1
        what = self.judge(run)
        if what:
            name = "short" if action == SHORT else errno.errorcode[code]
            self.wrong.append(f"{name} at {run.struck}: {what}; exit {run.code}: {run.said}")
        return True

    def judge(self, run: Run) -> str | None:
        assert run.struck is not None
        there = tree(self.out)
        if tree(self.folder / "in") != self.given:
            return "the input has changed"
        if run.code == 0:
            return None if there == self.new and not run.said else "exit 0 without the whole output"
        named = "directory could not be synced" in run.said
        if there != (self.new if named else self.old):
            return f"the output is not the old one: {sorted(there)}"
        if not re.fullmatch(r"lowrank: error: [^\n]*\n", run.said):
            return "not one line"
        right = 4 if run.struck[1].startswith(f"{self.folder}/in") else 5
        return None if run.code == right else f"not exit {right}"

    def die(self, number: int) -> bool:
        self.restore()
        run = self.run(number, 0, KILL)
        if run.struck is None:
            return False
        self.count["kills"] += 1
        left = {name: content for name, content in tree(self.out).items() if not TEMPORARY.search("/" + name)}
        if left not in (self.old, self.new) or run.code != -signal.SIGKILL:
            self.wrong.append(f"killed at {run.struck}: neither old nor new: {sorted(left)}")
        again = self.run()
        if again.code or tree(self.out) != self.new:
            self.wrong.append(f"killed at {run.struck}: the next run leaves {sorted(tree(self.out))}: {again.said}")
        beside = sorted(path.name for path in (self.folder / "in").iterdir())
        if beside != sorted(self.given):
            self.wrong.append(f"killed at {run.struck}: the next run leaves {beside} in the folder of the input")
        return True

    def race(self, many: int, argv: list[str]) -> list[int]:
        """Exit codes of so many runs that begin together."""
        read, write = os.pipe()
        children = [self.start(argv, wait=read) for _ in range(many)]
        os.write(write, b"x" * many)
        os.close(read)
        os.close(write)
        return [self.end(child).code for child in children]


def swept(number: int, job: dict, folder: Path, inputs: Path) -> dict:
    """One job: a command, what it replaces, and which calls go wrong how. number: shifts where a sweep begins."""
    shutil.copytree(inputs, folder / "in")
    sweep = Sweep(folder, job["argv"])
    whole = sweep.prepare(job["old"])
    codes = []
    step = job.get("step", 1)
    for place, name in enumerate(job.get("errors", ())):
        first = 1 + (7 * place + number) % step
        sweep.each(step, first, lambda nth, name=name: sweep.fail(nth, getattr(errno, name)))
    if "errors" in job:
        sweep.each(step, 1 + number % step, lambda nth: sweep.fail(nth, 0, SHORT))
    if job.get("kill"):
        sweep.each(step, 1 + (step // 2 + number) % step, sweep.die)
    for argv in job.get("races", ()):
        shutil.rmtree(sweep.out)
        sweep.out.mkdir()
        codes.append(sweep.race(job["many"], argv))
        if tree(sweep.out) != sweep.new:
            sweep.wrong.append(f"a race left {sorted(tree(sweep.out))}")
    shutil.rmtree(folder)
    shutil.rmtree(sweep.notes)
    return {**sweep.count, "wrong": sweep.wrong, "codes": codes, "calls": whole.calls}


def main() -> None:
    folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    done = {}
    for number, (name, job) in enumerate(jobs.items()):
        done[name] = swept(number, job, folder / str(number), folder / "in")
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
