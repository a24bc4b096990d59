"""lowrank plan: which rank to ask for, what it buys, and what the run will take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import Exit, InputError, UsageError
from . import pictures, shared
from .command import Command, Param, Values
from .inputs import Input
from .params import real, size, whole
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    from ..formats.loaded import Item


PLOT = pictures.plot("the error of every rank, and the answers; with --dry-run the bytes")


def _params() -> tuple[Param, ...]:
    return (
        Param("matrix", "The matrix: PATH, PATH:ITEM, or - for standard input.", metavar="A"),
        *shared.INPUT,
        Param("rtol", "Relative tolerances, such as 0.1,0.01.", ("--rtol", "--tol"), "LIST", "Questions"),
        Param("bytes", "Sizes the factors may take, such as 500k,10M,1.5GiB.", ("--bytes",), "LIST", "Questions"),
        Param("ratio", "Compression ratios to reach, such as 2,10.", ("--ratio",), "LIST", "Questions"),
        Param("dry_run", "Read only the header: no errors, no times.", ("--dry-run",), None, "Questions", "switch"),
        shared.SEED,
        *shared.RESOURCES,
        PLOT,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def numbers(text: str | None, name: str) -> list[float]:
    """The numbers of a comma-separated list; none when it was not given. Raises UsageError naming the flag."""
    return [] if text is None else [real(part.strip(), name) for part in text.split(",")]


def sizes(text: str | None, name: str) -> list[int]:
    """The byte counts of a comma-separated list: 10M is 10 000 000, 10MiB is 10 times 2**20.

    Raises UsageError for what is no size, or less than one byte.
    """
    return [] if text is None else [size(part.strip(), name) for part in text.split(",")]


def header(path: str, dataset: str | None) -> Item:
    """The one matrix a name stands for, from headers. Raises InputError when there is none, or more than one."""
    from ..formats.opening import list_items, split_item

    where, inside = split_item(path)
    if dataset is not None and inside is not None:
        raise UsageError(f"the item is named twice, as {inside!r} and as {dataset!r}", where=where, hint="name it once")
    found = list_items(path, dataset)[1]
    if dataset is None and len(found) > 1:
        found = [item for item in found if item.candidate]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{where}:{item.path}" for item in found[:6]) or "lowrank info lists what the file holds"
    raise InputError(f"holds {len(found)} matrices", where=where, hint=f"name one: {names}" if found else names)


def _run(values: Values, terminal: Terminal) -> int:
    from ..streams import Streams

    rtols = numbers(values.get("rtol"), "rtol")
    counts, ratios = sizes(values.get("bytes"), "bytes"), numbers(values.get("ratio"), "ratio")
    seed = whole(values["seed"], "seed") if values.get("seed") is not None else 0
    Streams(seed)
    threads, face = shared.threads(values), shared.face(values)
    dry, path = bool(values.get("dry_run")), values["matrix"]
    if dry and rtols:
        raise UsageError(
            "--dry-run reads no data, so it cannot know the rank of a tolerance", hint="drop --rtol, or drop --dry-run"
        )
    shared.check_inputs([path])
    [placed] = pictures.place([Input(path)], [], values, terminal)
    started = time.perf_counter()
    from ..analysis import plan
    from ..reports.facts import with_run

    plan.check(rtols, counts, ratios)
    with patience(terminal, f"plan {path}"):
        if dry:
            report = plan.plan_from_header(header(path, shared.item(values)), bytes_=counts, ratios=ratios)
            more: dict[str, Any] = {}
        else:
            matrix = shared.load(path, shared.item(values), terminal)
            asked: dict[str, Any] = {"rtols": rtols, "bytes_": counts, "ratios": ratios, "seed": seed}
            report = plan.plan(matrix, **asked, threads=threads, blas_pinned=terminal.blas_pinned)
            more = {"threads": threads} | shared.reading([matrix], report["ledger"]["passes"])
    facts = shared.run_facts(values, terminal, input_path=path, seconds=shared.since(started), **more)
    facts |= pictures.draw(placed.plot, with_run(report, **facts), values, terminal)
    full = with_run(report, **facts, **report["run"])
    terminal.show(face, [full], data_on_stdout=placed.on_stdout)
    return Exit.DONE


COMMAND = Command(
    help="Say which rank to ask for: error, bytes and cost of every rank, from one factorization or the header alone.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank plan A.npy --rtol 0.1,0.01 --bytes 10M --plot A.svg
  lowrank plan huge.h5:/X --dry-run --ratio 10

With no question: tolerances 0.1, 0.01, 0.001 as far as 512 basis columns tell.""",
)
