"""lowrank approx: factor a matrix to a rank or tolerance; report; save."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..algorithms import TABLE as METHODS
from ..budget import Budget
from ..companions import COMPANIONS
from ..errors import Exit, UsageError
from ..formats import MATRIX_NAMED, NAMED
from ..options import flag
from ..registry import find
from . import allotted, batch, checkpoint, clusters, inputs, kernels, parts, pictures, shared
from . import names as labels
from .command import Command, Param, Values
from .inputs import Input
from .params import budget_params, method_params, read_budget, read_options, whole
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    from ..algorithms.outcome import Outcome
    from ..api import Job
    from ..engines.cluster import Cluster
    from ..formats.loaded import Loaded
    from ..matrices.kernel import Kernel

DEFAULT_METHOD = "svd"
#: What the workers of a cluster know nothing of.
_ALONE = ("kernel", "single_pass", "spool", "checkpoint")

METHOD = Param(
    "method",
    lambda: f"How to factor: {', '.join(METHODS)}.  [default: {DEFAULT_METHOD}]",
    ("--method", "-m"),
    "NAME",
    "Method",
    choices=lambda: METHODS,
)
ONCE = Param(
    "single_pass",
    "Read the matrix one time only, as a pipe that does not fit into memory is read anyway; needs --rank, and bounds "
    "the error without a further look (svd, qb, lora).",
    ("--single-pass",),
    None,
    "Accuracy",
    "switch",
)
_COMPANIONS = tuple(Param(name, c.help, (flag(name),), c.metavar, "Input") for name, c in COMPANIONS.items())
OUTPUT = (
    Param(
        "output",
        f"Save the factors with their report ({NAMED}); - writes a stored .npz to standard output. {inputs.NAMING}",
        ("-o", "--output"),
        "FILE",
        "Output",
    ),
    Param(
        "part",
        f"With -o: write only this array of the factors, or '{parts.PRODUCT}' for the dense approximation, as "
        f"{MATRIX_NAMED}.",
        ("--part",),
        "NAME",
        "Output",
    ),
    shared.NO_CLOBBER,
)
PLOT = pictures.plot("the singular values and the rank, for svd, qb and lora", many=True)


@dataclasses.dataclass(frozen=True)
class _Work:
    """A request, read and checked as far as it can be without opening a file."""

    job: Job
    companions: dict[str, str]
    part: str | None
    kernel: Kernel | None = None
    cluster: Cluster | None = None


def _params(names: tuple[str, ...] | None = None) -> tuple[Param, ...]:
    """With the options of all methods, or of those named."""
    before = (inputs.MATRICES, *shared.INPUT, shared.SPOOL, kernels.PARAM, *_COMPANIONS, *budget_params(), ONCE, METHOD)
    after = (
        labels.NAMES,
        shared.SEED,
        *shared.RESOURCES,
        *clusters.PARAMS,
        *checkpoint.PARAMS,
        *batch.PARAMS,
        *allotted.PARAMS,
        *OUTPUT,
        PLOT,
        *shared.REPORT,
        *shared.TALK,
    )
    taken = frozenset(param.name for param in (*before, *after))
    return (*before, *method_params(names, taken), *after)


def _others() -> frozenset[str]:
    """Names of parameters that are no method's options."""
    return frozenset(param.name for param in _params(()))


def execute(command: str, method: str, values: Values, terminal: Terminal) -> int:
    """Approximate, save, report: what ``approx`` and its short forms share. Returns the exit code."""
    ask, work = allotted.asked(method, values), _read(command, method, values)
    how = batch.plan(command, values, threads=shared.threads(values))
    paths = [values["matrix"]] if isinstance(values["matrix"], str) else list(values["matrix"])
    others = [*work.companions.values(), *([values["names"]] if values.get("names") else [])]
    shared.check_inputs([*paths, *others], values.get("spool"))
    given = inputs.read(paths, shared.item(values), terminal)
    checkpoint.check(values, len(given))
    if len(given) > 1 and shared.STDIN in others:
        raise UsageError("standard input can be read only once, not for each input", hint="save it as a file first")
    clusters.check(values, [*work.companions, *_ALONE, *(param.name for param in allotted.PARAMS)])
    placed = inputs.with_outputs(given, values.get("output"), others, values, terminal)
    placed = pictures.place(placed, others, values, terminal)

    with clusters.opened(values) as cluster:
        work = dataclasses.replace(work, cluster=cluster)

        def one(matrix: Input, threads: int, terminal: Terminal) -> batch.Result:
            return _one(work, matrix, threads, values, terminal)

        if ask is None:
            return batch.run(how, placed, one, terminal)

    def ranked(matrix: Input, rank: int, threads: int, terminal: Terminal) -> batch.Result:
        job = dataclasses.replace(work.job, budget=Budget(rank))
        return _one(dataclasses.replace(work, job=job), matrix, threads, values, terminal)

    return allotted.run(how, placed, ask, work.job.seed, ranked, terminal)


def _one(work: _Work, given: Input, threads: int, values: Values, terminal: Terminal) -> batch.Result:
    """Approximate one matrix and write what is asked for."""
    started = time.perf_counter()
    with patience(terminal, f"{work.job.command} {given.name}"), checkpoint.opened(values, terminal) as kept:
        from ..api import run, seen_once
        from ..reports.facts import plain, with_run

        spool = values.get("spool")
        matrix = shared.load(given.path, given.item, terminal, work.cluster, once=_most(work), spool=spool)
        matrix = dataclasses.replace(matrix, kernel=work.kernel)
        others = {name: shared.load(path, None, terminal, spool=spool) for name, path in work.companions.items()}
        narrow = find(METHODS, work.job.method, "method").narrow
        shared.check_types(None if work.part else given.output, [matrix, *others.values()], narrow)
        named = labels.load(values, work.job.options, matrix.shape)
        job = work.job if named is None else named.resolved(work.job)
        terminal.detail(f"method {job.method}, {threads} threads, seed {job.seed}")
        outcome, report = run(job, matrix, others, threads=threads, blas_pinned=terminal.blas_pinned, checkpoint=kept)
        report = report if named is None else named.told(report, outcome.factor)
        if seen_once(matrix):
            shared.say_notes(matrix, matrix.array.notes(), terminal)
        parts.write(outcome.factor, report, work.part, given.output, values, terminal)
        seen: dict[str, Any] = {} if outcome.spectrum is None else {"singular_values": outcome.spectrum}
        seen |= pictures.draw(given.plot, with_run(report, input_path=given.path, **seen), values, terminal)
        if kept is not None:
            kept.finish()
    facts = {"input_path": given.path, "output": given.output, "seconds": shared.since(started), "threads": threads}
    full = _with_run(work, [matrix, *others.values()], report, facts, values, terminal)
    full["run"] |= plain(seen)
    _say_details(full, terminal)
    code, warning = _verdict(work, given.output, outcome)
    return batch.Result(full, code, warning)


def _read(command: str, method: str, values: Values) -> _Work:
    from ..api import Job, refuse_companions
    from ..streams import Streams

    loaded_method = find(METHODS, method, "method")
    companions = {name: values[name] for name in COMPANIONS if values.get(name) is not None}
    refuse_companions(loaded_method, tuple(companions))
    seed = whole(values["seed"], "seed") if values.get("seed") is not None else 0
    Streams(seed)
    output, part = values.get("output"), values.get("part")
    parts.check(method, output, part)
    if values.get("plot") is not None and not loaded_method.spectrum:
        raise UsageError(
            f"--plot draws singular values, and method {method} computes none",
            hint="leave it out, or use lowrank spectrum --plot",
        )
    budget = loaded_method.completed(read_budget(values))
    if values.get("single_pass"):
        if values.get("spool"):
            raise UsageError("--single-pass and --spool contradict each other", hint="a spooled stream is read again")
        if budget.passes not in (None, 1):
            raise UsageError(f"--single-pass and --passes {budget.passes} contradict each other", hint="give one")
        budget = dataclasses.replace(budget, passes=1)
    loaded_method.settled(budget, once=False)
    if loaded_method.of_product and budget.rank is None and not budget.has_tolerance:
        # a product has no default: its rank is a number of samples, and few tolerances are worth sampling for
        raise UsageError(
            f"--method {method} needs --rank, the number of sampled pairs, or a tolerance",
            hint="such as --rank 100 or --rtol 0.1",
        )
    job = Job(command, method, budget, read_options(method, values, _others()), seed)
    labels.check(values, method, job.options)
    return _Work(job, companions, part, kernels.read(values.get("kernel")))


def _most(work: _Work) -> int | None:
    """Bytes of a stream above which it is not loaded but seen once; None: it is loaded, whatever it takes."""
    from ..memory import available_memory

    if work.job.budget.passes == 1:
        return 0
    method = find(METHODS, work.job.method, "method")
    return available_memory() // 2 if method.single_pass and work.kernel is None else None


def _with_run(
    work: _Work,
    loaded: list[Loaded],
    report: dict[str, Any],
    facts: dict[str, Any],
    values: Values,
    terminal: Terminal,
) -> dict[str, Any]:
    from ..reports.facts import with_run

    facts = shared.run_facts(
        values,
        terminal,
        engine=clusters.name(work.cluster, facts["threads"]),
        **facts,
    )
    facts |= shared.reading(loaded, report["ledger"]["passes"])
    facts |= {f"{name}_path": path for name, path in work.companions.items()}
    facts |= shared.output_bytes(facts["output"])
    return with_run(report, **facts)


def _say_details(report: dict[str, Any], terminal: Terminal) -> None:
    kernels = ", ".join(map(str, report["method_facts"].get("kernels") or ())) or "none compiled"
    terminal.detail(f"{report['ledger']['passes']} passes, kernels: {kernels}")
    terminal.detail(f"{report['run']['seconds']:.2f} s")


def _verdict(work: _Work, output: str | None, outcome: Outcome) -> tuple[int, str]:
    """The exit code, and what to say when the tolerance was not met."""
    if not work.job.budget.has_tolerance or outcome.bound_met:
        return Exit.DONE, ""
    reached = (outcome.facts.get("weighted") or {}).get("relative", outcome.certificate.relative)
    error = "" if reached is None else f" (relative error {reached:.3g})"
    kept = "" if output is None else f", {output} written and marked {outcome.status.value!r}"
    advice = outcome.status.advice.rstrip(".")
    said = f"the tolerance asked for was not met{error}{kept}; {advice[:1].lower()}{advice[1:]}"
    return Exit.BOUND_MISSED, said


def _method(values: Values) -> str:
    """The method asked for, or the one that a companion calls for."""
    named = values.get("method")
    called = [c.method for name, c in COMPANIONS.items() if values.get(name) is not None]
    return named or (called[0] if called else DEFAULT_METHOD)


def _brief(argv: Sequence[str]) -> tuple[Param, ...]:
    """The parameters when only the options of the method that argv names are known: the others load nothing."""
    named = {name: "" for name in COMPANIONS if any(a.split("=")[0] == flag(name) for a in argv)}
    for before, after in itertools.pairwise(["", *argv]):
        if before in METHOD.flags:
            named["method"] = after
        elif after.startswith("--method="):
            named["method"] = after.partition("=")[2]
    method = _method(named)
    return _params((method,)) if method in METHODS else _params()


def _run(values: Values, terminal: Terminal) -> int:
    return execute("approx", _method(values), values, terminal)


COMMAND = Command(
    help="Factor a matrix to a rank or a tolerance, measure the error, report and save.",
    params=_params,
    brief=_brief,
    run=_run,
    epilog="""Examples:
  lowrank approx A.npy --rtol 1e-3 -o A.svd.npz
  lowrank approx data.h5:/X --method id -k 20 --json
  lowrank approx X.npy --kernel gaussian:2 -m nystrom --pivots columns -k 50
  producer | lowrank approx - -k 5 -o - --part U > U.npy
  lowrank approx *.npy -k 10 --jobs 2 --keep-going --json -o 'out/{stem}.h5'
  lowrank approx 'model.safetensors:*' -k 16 -o 'out/{item}.npz'

Exit: 0 done, 2 usage, 3 tolerance missed (output written), 4 input, 5 output.""",
)
