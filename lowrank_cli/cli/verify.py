"""lowrank verify: recompute the error of saved factors and hold it against their claim."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import DamagedError, Exit, UsageError
from ..streams import Streams
from . import batch, checkpoint, clusters, shared
from .command import Command, Param, Values
from .inputs import Input
from .params import field_param, real, whole
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    from ..engines.cluster import Cluster
    from ..formats.checkpoint import Checkpoint
    from ..formats.loaded import Loaded
    from ..formats.saving import Saved


def _params() -> tuple[Param, ...]:
    return (
        Param("factors", "Saved factors; several are a batch.", metavar="F...", kind="many"),
        Param("against", "The matrix they came from: PATH, PATH:ITEM, or -.", ("--against",), "A", "Input"),
        *shared.INPUT,
        Param("times", "Second factor, when they came from a product.", ("--times",), "Y", "Input"),
        Param("sample", "Judge by 20 random probes instead of every entry.", ("--sample",), None, "Accuracy", "switch"),
        field_param(Budget, "failure_probability", note="With --sample, or for a claim in the spectral norm: "),
        Param(
            "orthogonality",
            "Check that U and V (svd), or Q (qb), are orthonormal too.",
            ("--orthogonality",),
            None,
            "Accuracy",
            "switch",
        ),
        shared.SEED,
        *shared.RESOURCES,
        *clusters.PARAMS,
        *checkpoint.PARAMS,
        *batch.PARAMS,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    against, times = values.get("against"), values.get("times")
    if against is None and (times is not None or values.get("sample")):
        raise UsageError("without --against only the file itself is checked", hint="add --against A")
    how = batch.plan("verify", values, threads=shared.threads(values))
    paths, matrices = list(values["factors"]), [path for path in (against, times) if path is not None]
    shared.check_inputs([*paths, *matrices])
    if len(paths) > 1 and shared.STDIN in matrices:
        raise UsageError("standard input can be read only once, not for each input", hint="save it as a file first")

    clusters.check(values, ["times", "checkpoint"])
    checkpoint.check(values, len(paths))
    if values.get("engine") == "dask" and against is None:
        raise UsageError("without --against there is no matrix for --engine dask to read", hint="add --against A")
    if values.get("checkpoint") is not None and against is None:
        raise UsageError("without --against there are no passes for --checkpoint to keep", hint="add --against A")

    with clusters.opened(values) as cluster, checkpoint.opened(values, terminal) as kept:

        def one(given: Input, threads: int, terminal: Terminal) -> batch.Result:
            return _one(given.path, cluster, kept, threads, values, terminal)

        code = batch.run(how, [Input(path) for path in paths], one, terminal)
        if kept is not None:
            kept.finish()
        return code


def _one(
    path: str, cluster: Cluster | None, kept: Checkpoint | None, threads: int, values: Values, terminal: Terminal
) -> batch.Result:
    from ..reports.facts import started as head
    from ..reports.facts import with_run

    started = time.perf_counter()
    with patience(terminal, f"verify {path}"):
        held, reading = _held(path, cluster, kept, values, threads, terminal)
        report = {**head("verify"), **held}
    facts = shared.run_facts(
        values,
        terminal,
        input_path=path,
        threads=threads,
        seconds=shared.since(started),
        engine=clusters.name(cluster, threads),
        **reading,
    )
    report = with_run(report, **facts, against_path=values.get("against"), times_path=values.get("times"))
    return batch.Result(report, Exit.DONE if report["holds"] else Exit.MISMATCH)


def _held(
    path: str, cluster: Cluster | None, kept: Checkpoint | None, values: Values, threads: int, terminal: Terminal
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdict, and what was read for it. Arrays that are not those the file's own digests name do not hold,
    whatever the matrix."""
    from ..analysis.verify import verify
    from ..formats import saving

    against, times = values.get("against"), values.get("times")
    budget = Budget(rank=1, **given(values, "failure_probability", real))
    seed = Streams(**given(values, "seed", whole)).seed
    try:
        saved = saving.load_factors(path)
    except DamagedError as error:
        # a file that is none of ours, or of a later layout, is unreadable; one of ours that is damaged is a false claim
        return {"claimed": None, "measured": None, "holds": False, "kind": None, "reason": error.line()}, {}
    asked = {name: bool(values.get(name)) for name in ("sample", "orthogonality")}
    asked |= {"failure_probability": budget.failure_probability}
    loaded = []
    if against is not None:
        _check_kind(saved.report, times)
        loaded = [_as_approximated(shared.load(against, shared.item(values), terminal, cluster), saved.report)]
        if times is not None:
            loaded.append(shared.load(times, None, terminal))
    if kept is not None:
        loaded = _resumable(kept, saved, asked | {"seed": seed}, loaded, threads)
    found = verify(
        saved.factor, saved.report, *loaded, **asked, seed=seed, threads=threads, blas_pinned=terminal.blas_pinned
    )
    return found, shared.reading(loaded, found.get("passes", 0)) if loaded else {}


def _resumable(
    kept: Checkpoint, saved: Saved, asked: dict[str, Any], loaded: list[Loaded], threads: int
) -> list[Loaded]:
    """The matrices, when what the checkpoint keeps is the comparison of these factors with them."""
    from ..api import resumable
    from ..engines.threads import engine_for

    work = {"command": "verify", "factors": saved.digests, "options": asked}
    named = dict(zip(("input", "times"), loaded, strict=False))
    return list(resumable(kept, work, named, engine_for(threads)).values())


def _as_approximated(loaded: Loaded, report: dict[str, Any]) -> Loaded:
    """Points stand for their kernel matrix when that is what was approximated."""
    known = (report.get("input") or {}).get("kernel")
    if not isinstance(known, dict):
        return loaded
    from ..matrices.kernel import Kernel

    return dataclasses.replace(loaded, kernel=Kernel(str(known.get("name")), float(known.get("scale") or 0.0)))


def _check_kind(report: dict[str, Any], times: str | None) -> None:
    """Raise UsageError when a product is held against one matrix, or one matrix's factors against a product."""
    if report.get("times") is not None and times is None:
        raise UsageError("these factors are those of a product", hint="name its second factor with --times Y")
    if report.get("times") is None and times is not None:
        raise UsageError("these factors are those of one matrix", hint="leave out --times")


def given(values: Values, name: str, read: Callable[[str, str], Any]) -> dict[str, Any]:
    """The value of an option as a keyword, nothing when it was not given."""
    text = values.get(name)
    return {} if text is None else {name: read(text, name)}


COMMAND = Command(
    help="Hold saved factors against what they claim: the file and its structure, and with --against the error itself, "
    "recomputed. Exit 8 when it does not hold.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank verify A.svd.npz --against A.npy
  lowrank verify A.svd.npz --orthogonality
  lowrank verify out/*.h5 --keep-going --report tsv""",
)
