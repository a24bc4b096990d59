"""lowrank verify: recompute the error of saved factors and hold it against their claim."""

from __future__ import annotations

import time

from ..errors import Exit, UsageError
from . import shared
from .command import Command, Param, Values
from .progress import patience
from .terminal import Terminal


def _params() -> tuple[Param, ...]:
    return (
        Param("factors", "A file of saved factors.", metavar="F"),
        Param("against", "The matrix they came from: PATH, PATH:ITEM, or -.", ("--against",), "A", "Input"),
        shared.DATASET,
        Param("times", "Second factor, when they came from a product.", ("--times",), "Y", "Input"),
        shared.THREADS,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    against, times, face = values.get("against"), values.get("times"), shared.face(values)
    if against is None:
        raise UsageError("verify needs the matrix the factors came from", hint="add --against A")
    threads = shared.threads(values)
    shared.check_inputs([values["factors"], against, *([times] if times is not None else [])])
    started = time.perf_counter()
    from ..formats import saving
    from ..reports.facts import with_run

    with patience(terminal, f"verify {values['factors']}"):
        from ..api import verify

        saved = saving.load_factors(values["factors"])
        loaded = [shared.load(against, values.get("dataset"), terminal)]
        if times is not None:
            loaded.append(shared.load(times, None, terminal))
        report = verify(saved.factor, saved.report, *loaded, threads=threads, blas_pinned=terminal.blas_pinned)
    facts = shared.run_facts(values, terminal, input_path=values["factors"], threads=threads)
    report = with_run(report, **facts, seconds=time.perf_counter() - started, against_path=against)
    terminal.show(face, [report])
    return Exit.DONE if report["holds"] else Exit.MISMATCH


COMMAND = Command(
    help="Recompute the error of saved factors and hold it against what they claim. Exit 8 when it does not hold.",
    params=_params,
    run=_run,
    epilog="""Example:
  lowrank verify A.svd.npz --against A.npy""",
)
