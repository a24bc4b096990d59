"""lowrank spectrum: singular values, norms and effective ranks of a matrix, in numbers and in a picture."""

from __future__ import annotations

import os
import time
from typing import Any

from ..errors import Exit, UsageError
from . import shared
from .command import Command, Param, Values
from .params import whole
from .progress import patience
from .terminal import Terminal

_SVG = ".svg"
COUNT = Param(
    "rank",
    "How many of the largest singular values.  [default: all when a full decomposition is cheap, else 50]",
    ("-k", "--rank"),
    "N",
    "Values",
)
ALL = Param("all", "All singular values, by a dense decomposition.", ("--all",), None, "Values", "switch")
PLOT = Param("output", "Draw the values on a log axis; - for standard output.", ("--plot",), "FILE.svg", "Output")


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
    path, plot, face = values["matrix"], values.get("output"), shared.face(values)
    asked = _asked(values)
    threads = shared.threads(values)
    shared.check_inputs([path])
    _check_plot(plot, values, terminal)
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
        _draw(plot, with_run(report, **facts), values, terminal)
    if plot is not None and not shared.to_stdout(plot) and os.path.isfile(plot):
        facts["output_bytes"] = os.path.getsize(plot)
    report = with_run(report, **facts, seconds=shared.since(started))
    terminal.show(face, [report], data_on_stdout=shared.to_stdout(plot))
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


def _check_plot(plot: str | None, values: Values, terminal: Terminal) -> None:
    if plot is None:
        return
    if shared.to_stdout(plot):
        terminal.data_descriptor()
        return
    if not plot.lower().endswith(_SVG):
        raise UsageError("a picture is written as .svg", where=plot, hint=f"let the name of the output end in {_SVG}")
    shared.check_output(plot, [values["matrix"]], values, terminal)


def _draw(plot: str | None, report: dict[str, Any], values: Values, terminal: Terminal) -> None:
    if plot is None:
        return
    from ..formats import atomic
    from ..reports.plot import spectrum_svg

    text = spectrum_svg(report).encode()
    if shared.to_stdout(plot):
        atomic.write_all(terminal.data_descriptor(), [text], "standard output")
    else:
        atomic.commit(plot, [text], len(text), no_clobber=bool(values.get("no_clobber")))


COMMAND = Command(
    help="Singular values, norms and effective ranks of a matrix, with what is certain about each.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank spectrum A.npy --plot A.svg
  lowrank spectrum A.mtx -k 20 --report tsv > A.tsv
  gnuplot> set logscale y; plot "A.tsv" using 1:2 with linespoints""",
)
