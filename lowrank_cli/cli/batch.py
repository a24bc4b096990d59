"""Several inputs in one run: one after another or some at a time, always told in the order they were given."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import io
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from .. import memory
from ..errors import Exit, UsageError
from ..matrices.watch import UNWATCHED
from ..reports.text import safe
from . import shared
from .app import explain, say
from .command import Param, Values
from .inputs import Input
from .params import whole
from .progress import patience
from .terminal import ReaderGone, Terminal

JOBS = Param(
    "jobs",
    "Inputs worked on at a time, the threads and the memory shared out among them; the results do not depend on it.  "
    f"[from 1 to {shared.MAX_THREADS}; default: 1]",
    ("--jobs",),
    "N",
    "Batch",
)
KEEP_GOING = Param(
    "keep_going",
    "Go on after an input that fails, and exit with 1 at the end; without it the first failure ends the batch.",
    ("--keep-going",),
    None,
    "Batch",
    "switch",
)
PARAMS = (JOBS, KEEP_GOING)
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one input: its report, the exit code it would have alone, and what its user must be told."""

    report: dict[str, Any]
    code: int = Exit.DONE
    warning: str = ""


One = Callable[[Input, int, Terminal], Result]
Total = Callable[[Sequence[dict[str, Any]]], tuple[dict[str, Any] | None, int, str]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a batch is worked through. summary: people get one table of all inputs instead of one each."""

    command: str
    face: str
    jobs: int
    threads: int
    keep_going: bool
    summary: bool = True

    @property
    def at_once(self) -> bool:
        """Whether each input is told as soon as it and all before it are done."""
        return self.face in ("json", "jsonl")


def plan(command: str, values: Values, *, threads: int = 1, summary: bool = True) -> Plan:
    """The way that a command line asks for; threads: in all. Raises UsageError."""
    jobs = 1 if values.get("jobs") is None else whole(values["jobs"], "jobs")
    if not 1 <= jobs <= shared.MAX_THREADS:
        raise UsageError(f"--jobs must be from 1 to {shared.MAX_THREADS}, not {jobs}")
    return Plan(command, shared.face(values), jobs, threads, bool(values.get("keep_going")), summary)


def run(how: Plan, inputs: Sequence[Input], one: One, terminal: Terminal, total: Total | None = None) -> int:
    """Work through the inputs with ``one(input, threads, terminal)``, report, and return the exit code.

    total, where all are meant to be one: what the reports come to, as ``total`` of a last report, with the exit code
    and the warning of that.

    One input is told as it is and its error raised. Of several, each failure is a line on stderr; where an input is
    missing its bound the batch goes on. The code is that of the first failure, or with keep_going 1; else 3 when a
    bound was missed.
    """
    if len(inputs) == 1 and total is None:
        done = one(inputs[0], how.threads, terminal)
        terminal.show(how.face, [done.report], data_on_stdout=inputs[0].on_stdout)
        if done.warning:
            terminal.warn(done.warning)
        return done.code
    started = time.perf_counter()
    reports: list[dict[str, Any]] = []
    code, missed = int(Exit.DONE), int(Exit.DONE)
    with contextlib.closing(outcomes(how, inputs, one, terminal)) as done_so_far:
        for given, said, done in done_so_far:
            terminal.pass_on(said)
            if isinstance(done, Exception):
                failed, report = failure(how, given, done, terminal)
                code = code or (int(Exit.FAILED) if how.keep_going else failed)
            else:
                report, missed = done.report, missed or int(done.code)
                if done.warning:
                    terminal.warn(f"{given.name}: {done.warning}")
            reports.append(report)
            if how.at_once:
                terminal.show("jsonl", [report])
            if code and not how.keep_going:
                break
    summary = _summary(how, reports, len(inputs), started, terminal)
    if total is not None:
        summary["total"], missed, warning = total(reports)
        if how.at_once:
            terminal.show("jsonl", [{name: value for name, value in summary.items() if name != "rows"}])
        if warning:
            terminal.warn(warning)
    if not how.at_once:
        terminal.show(how.face, [summary] if how.summary else reports)
    return code or missed


def outcomes(
    how: Plan, inputs: Sequence[Input], one: Callable[[Input, int, Terminal], T], terminal: Terminal
) -> Generator[tuple[Input, str, T | Exception]]:
    """Of each input in order: what was said meanwhile, and the result or the error. Closing it ends the batch.

    What does not fit the memory beside others is tried again alone, so that --jobs makes no input fail.
    """
    jobs = min(how.jobs, len(inputs))
    if jobs == 1:
        yield from ((given, *_attempt(one, given, how.threads, terminal)) for given in inputs)
        return
    pool = concurrent.futures.ThreadPoolExecutor(jobs, thread_name_prefix="lowrank-job")
    threads = max(1, how.threads // jobs)
    with patience(terminal, f"{how.command} of {len(inputs)} inputs"), memory.shared_by(jobs):
        try:
            running = [pool.submit(_apart, one, given, threads, terminal) for given in inputs]
            for given, future in zip(inputs, running, strict=True):
                said, done = future.result()
                if isinstance(done, MemoryError):
                    concurrent.futures.wait(running)
                    with memory.shared_by(1):
                        said, done = _apart(one, given, how.threads, terminal)
                yield given, said, done
            pool.shutdown()
        except BaseException as stopped:
            # when the batch ends early what has begun is finished, so that its output is there; a signal waits for none
            pool.shutdown(wait=isinstance(stopped, GeneratorExit), cancel_futures=True)
            raise


def _apart(one: Callable[[Input, int, Terminal], T], given: Input, threads: int, terminal: Terminal) -> Any:
    """An attempt whose talk is kept back until its turn."""
    kept = io.StringIO()
    _, done = _attempt(one, given, threads, dataclasses.replace(terminal, err=kept, watch=UNWATCHED))
    return kept.getvalue(), done


def _attempt(
    one: Callable[[Input, int, Terminal], T], given: Input, threads: int, terminal: Terminal
) -> tuple[str, T | Exception]:
    try:
        return "", one(given, threads, terminal)
    except (BrokenPipeError, ReaderGone):
        raise
    except Exception as error:
        return "", error


def failure(how: Plan, given: Input, error: Exception, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    """Say that nothing came of an input. Returns the exit code that has alone, and its report."""
    from ..reports.facts import started, with_run

    code = say(error, terminal, given.name)
    told = {"message": safe(explain(error, given.name)[0]), "exit": code}
    return code, with_run({**started(how.command), "error": told}, input_path=given.name)


def _summary(how: Plan, reports: list[dict[str, Any]], count: int, since: float, terminal: Terminal) -> dict[str, Any]:
    """The report of the batch."""
    from ..reports.facts import batch, with_run

    facts = {"argv": ["lowrank", *terminal.argv], "seconds": shared.since(since), "threads": how.threads}
    return with_run(batch(how.command, reports, count), **facts, jobs=min(how.jobs, count))
