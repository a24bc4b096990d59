"""lowrank compare: every structure side by side on one matrix."""

from __future__ import annotations

import time
from typing import Any

from ..budget import Budget
from ..errors import Exit, UsageError
from . import pictures, shared
from .command import Command, Param, Values
from .inputs import Input
from .params import field_param, read, whole
from .progress import patience
from .terminal import Terminal

_ASKED = ("rank", "rtol", "atol")
PLOT = pictures.plot("error against bytes, one point a structure")


def _params() -> tuple[Param, ...]:
    return (
        Param("matrix", "The matrix: PATH, PATH:ITEM, or - for standard input.", metavar="A"),
        Param("times", "Second factor: compare ways to approximate the product A Y.", ("--times",), "Y", "Input"),
        *shared.INPUT,
        *(field_param(Budget, name) for name in _ASKED),
        shared.SEED,
        *shared.RESOURCES,
        PLOT,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    from ..streams import Streams

    budget = Budget(**{name: read(Budget, name, values.get(name)) for name in _ASKED})
    seed = whole(values["seed"], "seed") if values.get("seed") is not None else 0
    Streams(seed)
    threads, face, path = shared.threads(values), shared.face(values), values["matrix"]
    other = values.get("times")
    others = [] if other is None else [other]
    shared.check_inputs([path, *others])
    [placed] = pictures.place([Input(path)], others, values, terminal)
    if other is not None and budget.rank is None and not budget.has_tolerance:
        raise UsageError("compare --times needs --rank, the number of pairs, or a tolerance", hint="such as --rank 100")
    started = time.perf_counter()
    from ..analysis.compare import compare
    from ..reports.facts import with_run

    with patience(terminal, f"compare {path}"):
        matrix = shared.load(path, shared.item(values), terminal)
        known: dict[str, Any] = {"seed": seed, "threads": threads, "blas_pinned": terminal.blas_pinned}
        if other is None:
            loaded, report = [matrix], compare(matrix, budget, **known)
        else:
            from ..analysis.compare_products import compare_products

            second = shared.load(other, None, terminal)
            loaded = [matrix, second]
            report = compare_products(matrix, second, budget, **known)
    facts = shared.run_facts(values, terminal, input_path=path, seconds=shared.since(started), threads=threads)
    facts |= {} if other is None else {"times_path": other}
    facts |= pictures.draw(placed.plot, with_run(report, **facts), values, terminal)
    # what is shared by the rows is read once, so that there is no number of passes to hold it against
    full = with_run(report, **facts, **shared.reading(loaded, 0))
    terminal.show(face, [full], data_on_stdout=placed.on_stdout)
    if budget.has_tolerance and not any(row["status"] == "converged" for row in report["rows"]):
        terminal.warn("no structure met the tolerance asked for")
        return Exit.BOUND_MISSED
    return Exit.DONE


COMMAND = Command(
    help="Try every structure on one matrix: rank, error, distance from the best, bytes, seconds, Pareto mark.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank compare A.npy --rtol 1e-3 --plot A.svg
  lowrank compare A.mtx -k 20 --report tsv
  lowrank compare X.npy --times Y.npy -k 100

Exit: 0 done, 2 usage, 3 no structure met the tolerance, 4 input.""",
)
