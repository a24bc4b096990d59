"""lowrank compare: every structure side by side on one matrix."""

from __future__ import annotations

import time

from ..budget import Budget
from ..errors import Exit
from . import shared
from .command import Command, Param, Values
from .params import field_param, read, whole
from .progress import patience
from .terminal import Terminal

_ASKED = ("rank", "rtol", "atol")


def _params() -> tuple[Param, ...]:
    return (
        Param(
            "matrix", "The matrix: PATH, PATH:ITEM, or - for standard input (.npy, Matrix Market, text).", metavar="A"
        ),
        shared.DATASET,
        *(field_param(Budget, name) for name in _ASKED),
        shared.SEED,
        *shared.RESOURCES,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    from ..streams import Streams

    budget = Budget(**{name: read(Budget, name, values.get(name)) for name in _ASKED})
    seed = whole(values["seed"], "seed") if values.get("seed") is not None else 0
    Streams(seed)
    threads, face, path = shared.threads(values), shared.face(values), values["matrix"]
    shared.check_inputs([path])
    started = time.perf_counter()
    from ..analysis.compare import compare
    from ..reports.facts import with_run

    with patience(terminal, f"compare {path}"):
        matrix = shared.load(path, values.get("dataset"), terminal)
        report = compare(matrix, budget, seed=seed, threads=threads, blas_pinned=terminal.blas_pinned)
    facts = shared.run_facts(values, terminal, input_path=path, seconds=shared.since(started), threads=threads)
    terminal.show(face, [with_run(report, **facts, bytes_read=matrix.item.bytes)])
    if budget.has_tolerance and not any(row["status"] == "converged" for row in report["rows"]):
        terminal.warn("no structure met the tolerance asked for")
        return Exit.BOUND_MISSED
    return Exit.DONE


COMMAND = Command(
    help="Try every structure on one matrix: rank, error, distance from the best, bytes, seconds, Pareto mark.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank compare A.npy --rtol 1e-3
  lowrank compare A.mtx -k 20 --report tsv

Exit: 0 done, 2 usage, 3 no structure met the tolerance, 4 input.""",
)
