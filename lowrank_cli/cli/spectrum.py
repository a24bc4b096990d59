"""lowrank spectrum: singular values, norms and effective ranks of a matrix, in numbers and in a picture."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import batch, checkpoint, clusters, inputs, pictures, shared
from .command import Command, Param, Values
from .inputs import Input
from .params import whole
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    from ..engines.cluster import Cluster
    from ..formats.checkpoint import Checkpoint

COUNT = Param(
    "rank",
    "How many of the largest singular values.  [default: all when a full decomposition is cheap, else 50]",
    ("-k", "--rank"),
    "N",
    "Values",
)
ALL = Param("all", "All singular values, by a dense decomposition.", ("--all",), None, "Values", "switch")
PLOT = pictures.plot("the values on a log axis", many=True)


def _params() -> tuple[Param, ...]:
    return (
        inputs.MATRICES,
        *shared.INPUT,
        COUNT,
        ALL,
        shared.SEED,
        *shared.RESOURCES,
        *clusters.PARAMS,
        *checkpoint.PARAMS,
        *batch.PARAMS,
        PLOT,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    asked = _asked(values)
    how = batch.plan("spectrum", values, threads=shared.threads(values))
    given = inputs.read(list(values["matrix"]), shared.item(values), terminal)
    checkpoint.check(values, len(given))
    placed = pictures.place(given, [], values, terminal)

    clusters.check(values, ["checkpoint"])

    with clusters.opened(values) as cluster, checkpoint.opened(values, terminal) as kept:

        def one(matrix: Input, threads: int, terminal: Terminal) -> batch.Result:
            return _one(matrix, asked, cluster, kept, threads, values, terminal)

        code = batch.run(how, placed, one, terminal)
        if kept is not None:
            # not before the values, which may be the only result, are printed
            kept.finish()
        return code


def _one(
    given: Input,
    asked: dict[str, Any],
    cluster: Cluster | None,
    kept: Checkpoint | None,
    threads: int,
    values: Values,
    terminal: Terminal,
) -> batch.Result:
    from ..reports.facts import with_run

    started = time.perf_counter()
    with patience(terminal, f"spectrum {given.name}"):
        from ..analysis.spectrum import spectrum

        loaded = shared.load(given.path, given.item, terminal, cluster)
        report = spectrum(loaded, **asked, threads=threads, blas_pinned=terminal.blas_pinned, checkpoint=kept)
        facts = shared.run_facts(
            values,
            terminal,
            input_path=given.path,
            **shared.reading([loaded], report["ledger"]["passes"]),
            threads=threads,
            engine=clusters.name(cluster, threads),
        )
        facts |= pictures.draw(given.plot, with_run(report, **facts), values, terminal)
    warning = ""
    if report["status"] != "converged":
        warning = (
            f"the values are certain to {max(report['radii']):.3g} only, {report['status'].replace('_', ' ')}; "
            "ask for fewer with -k, or for all with --all"
        )
    return batch.Result(with_run(report, **facts, seconds=shared.since(started)), warning=warning)


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
  lowrank spectrum *.npy -k 5 --plot '{dir}/{stem}.svg'
  gnuplot> set logscale y; plot "A.tsv" using 1:2 with linespoints""",
)
