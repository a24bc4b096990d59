"""lowrank spectrum: singular values, norms and effective ranks of a matrix, in numbers and in a picture."""

from __future__ import annotations

import time
from typing import Any

from ..errors import Exit, UsageError
from . import pictures, shared
from .command import Command, Param, Values
from .params import whole
from .progress import patience
from .terminal import Terminal

COUNT = Param(
    "rank",
    "How many of the largest singular values.  [default: all when a full decomposition is cheap, else 50]",
    ("-k", "--rank"),
    "N",
    "Values",
)
ALL = Param("all", "All singular values, by a dense decomposition.", ("--all",), None, "Values", "switch")
PLOT = pictures.plot("the values on a log axis")


def _params() -> tuple[Param, ...]:
    return (
        Param("matrix", "The matrix: PATH, PATH:ITEM, or - for standard input.", metavar="A"),
        *shared.INPUT,
        COUNT,
        ALL,
        shared.SEED,
        *shared.RESOURCES,
        PLOT,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    path, face = values["matrix"], shared.face(values)
    asked = _asked(values)
    threads = shared.threads(values)
    shared.check_inputs([path])
    pictures.check(values, [path], terminal)
    started = time.perf_counter()
    from ..reports.facts import with_run

    with patience(terminal, f"spectrum {path}"):
        from ..analysis.spectrum import spectrum

        loaded = shared.load(path, shared.item(values), terminal)
        report = spectrum(loaded, **asked, threads=threads, blas_pinned=terminal.blas_pinned)
        facts = shared.run_facts(
            values,
            terminal,
            input_path=path,
            bytes_read=loaded.item.bytes,
            threads=threads,
            engine="threads" if threads > 1 else "serial",
        )
        facts |= pictures.draw(values, with_run(report, **facts), terminal)
    report = with_run(report, **facts, seconds=shared.since(started))
    terminal.show(face, [report], data_on_stdout=pictures.on_stdout(values))
    if report["status"] != "converged":
        terminal.warn(
            f"the values are certain to {max(report['radii']):.3g} only, {report['status'].replace('_', ' ')}; "
            "ask for fewer with -k, or for all with --all"
        )
    return Exit.DONE


def _asked(values: Values) -> dict[str, Any]:
    from ..streams import Streams

    k, everything = values.get("rank"), bool(values.get("all"))
    if k is not None and everything:
        raise UsageError("-k and --all contradict each other", hint="give one of them")
    count = None if k is None else whole(k, "rank")
    if count is not None and count < 1:
        raise UsageError(f"--rank must be at least 1, not {count}")
    seed = whole(values["seed"], "seed") if values.get("seed") is not None else 0
    Streams(seed)
    return {"k": count, "all": everything, "seed": seed}


COMMAND = Command(
    help="Singular values, norms and effective ranks of a matrix, with what is certain about each.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank spectrum A.npy --plot A.svg
  lowrank spectrum A.mtx -k 20 --report tsv > A.tsv
  gnuplot> set logscale y; plot "A.tsv" using 1:2 with linespoints""",
)
