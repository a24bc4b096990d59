"""lowrank msign: the matrix sign U V^H of A = U S V^H, of one matrix or of all that a container holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..algorithms.polar import PolarOptions
from ..errors import Exit, InputError, UsageError
from ..options import described
from . import shared
from .command import Command, Param, Values
from .inputs import matrices
from .params import field_param, read
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    import numpy

ALL = Param(
    "all", "Every matrix of the container; -o keeps their names in a .npz or .h5.", ("--all",), None, "Input", "switch"
)
OUTPUT = Param(
    "output",
    "Save the result as .npy, or under its name in the container as .npz or .h5; - for standard output.",
    ("-o", "--output"),
    "FILE",
    "Output",
)
#: The name of a result whose matrix had none.
_NAME = "X"


def _params() -> tuple[Param, ...]:
    return (
        Param("matrix", "The matrix: PATH, PATH:ITEM, or - for standard input.", metavar="A"),
        *shared.INPUT,
        ALL,
        *(field_param(PolarOptions, name) for name in described(PolarOptions)),
        *shared.RESOURCES,
        OUTPUT,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    path, output, face = values["matrix"], values.get("output"), shared.face(values)
    options = PolarOptions(**{name: read(PolarOptions, name, values.get(name)) for name in described(PolarOptions)})
    threads = shared.threads(values)
    shared.check_inputs([path])
    _check_names(values, output)
    shared.check_output(output, [path], values, terminal)
    reports, found = [], {}
    with patience(terminal, f"msign {path}"):
        for item in _items(values, terminal):
            name, X, report = _one(item, options, threads, values, terminal)
            reports.append(report)
            if output is not None:
                found[name] = X, report
        _write(output, found, values, terminal)
    for report in reports:
        report["run"] |= shared.output_bytes(output)
    terminal.show(face, reports, data_on_stdout=shared.to_stdout(output))
    return Exit.DONE


def _check_names(values: Values, output: str | None) -> None:
    """Names and requests that cannot come true, found before any work."""
    from ..formats import arrays
    from ..formats.opening import split_item

    everything = bool(values.get("all"))
    if everything and values["matrix"] == shared.STDIN:
        raise UsageError("--all needs a container, and standard input holds one matrix", hint="leave out --all")
    if everything and (shared.item(values) is not None or split_item(values["matrix"])[1] is not None):
        raise UsageError("--all and the name of one matrix contradict each other", hint="give one of them")
    if output is None or shared.to_stdout(output) or (output.lower().endswith(".npy") and not everything):
        return
    arrays.check_suffix(output)


def _items(values: Values, terminal: Terminal) -> list[str | None]:
    """The names to load: the one that was given, or those of all numeric matrices of the container."""
    if not values.get("all"):
        return [shared.item(values)]
    from ..formats.opening import list_items

    taken = matrices(list_items(values["matrix"])[1], values["matrix"], terminal)
    if not taken:
        raise InputError("holds no matrix", where=values["matrix"], hint="lowrank info lists what it holds")
    return [item.path for item in taken]


def _one(
    item: str | None, options: PolarOptions, threads: int, values: Values, terminal: Terminal
) -> tuple[str, numpy.ndarray, dict[str, Any]]:
    """(name, X, report) of one matrix."""
    from ..analysis.msign import msign
    from ..reports.facts import with_run

    started = time.perf_counter()
    loaded = shared.load(values["matrix"], item, terminal)
    X, report = msign(loaded, options, threads=threads, blas_pinned=terminal.blas_pinned)
    facts = shared.run_facts(
        values,
        terminal,
        input_path=values["matrix"],
        **shared.reading([loaded], report["ledger"]["passes"]),
        threads=threads,
        engine="threads" if threads > 1 else "serial",
        seconds=shared.since(started),
    )
    return loaded.item.path or _NAME, X, with_run(report, **facts)


def _write(output: str | None, found: dict[str, Any], values: Values, terminal: Terminal) -> None:
    if output is None:
        return
    from ..formats import arrays, saving

    no_clobber = bool(values.get("no_clobber"))
    if shared.to_stdout(output):
        if values.get("all"):
            arrays.write_to(terminal.data_descriptor(), found)
        else:
            saving.write_array_to(terminal.data_descriptor(), next(iter(found.values()))[0])
    elif output.lower().endswith(".npy") and not values.get("all"):
        saving.write_array(next(iter(found.values()))[0], output, no_clobber=no_clobber)
    else:
        arrays.save(found, output, no_clobber=no_clobber)


COMMAND = Command(
    help="The matrix sign, or polar factor, U V^H of A = U S V^H: the nearest matrix whose singular values are all 1 "
    "(0 where those of A are), and how near it is.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank msign G.npy -o X.npy
  lowrank msign layers.h5 --all --method muon -o signs.h5
  lowrank msign G.npy --method polar-express --lower 1e-3 --steps 5 --json""",
)
