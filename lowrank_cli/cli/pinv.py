"""lowrank pinv: the pseudo-inverse of a matrix, as factors or dense, or least squares solutions with it."""

from __future__ import annotations

import time
from typing import Any

from ..algorithms.pseudoinverse import PseudoinverseOptions
from ..errors import Exit, UsageError
from ..formats import NAMED, SINGLE
from ..options import described
from . import shared
from .command import Command, Param, Values
from .params import field_param, read, whole
from .progress import patience
from .terminal import Terminal

APPLY = Param(
    "apply", "Solve min |A X - B| of minimum norm instead of writing the pseudo-inverse.", ("--apply",), "B", "Input"
)
OUTPUT = Param(
    "output",
    f"Save the pseudo-inverse as the factors of an SVD ({NAMED}) or dense ({', '.join(SINGLE)}), with --apply "
    "the solution X; - for standard output.",
    ("-o", "--output"),
    "FILE",
    "Output",
)
DENSE = Param("dense", "With -o -: the dense matrix as .npy, not factors.", ("--dense",), None, "Output", "switch")


def _params() -> tuple[Param, ...]:
    return (
        Param("matrix", "The matrix: PATH, PATH:ITEM, or - for standard input.", metavar="A"),
        *shared.INPUT,
        APPLY,
        *(field_param(PseudoinverseOptions, name) for name in described(PseudoinverseOptions)),
        shared.SEED,
        *shared.RESOURCES,
        OUTPUT,
        DENSE,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    path, output, face = values["matrix"], values.get("output"), shared.face(values)
    inputs = [path] if values.get("apply") is None else [path, values["apply"]]
    options, seed, threads = _options(values), _seed(values), shared.threads(values)
    as_array = _as_array(values)
    shared.check_inputs(inputs)
    shared.check_output(output, inputs, values, terminal)
    started = time.perf_counter()
    from ..reports.facts import with_run

    with patience(terminal, f"pinv {path}"):
        from ..analysis.pinv import pinv

        loaded = [shared.load(path, shared.item(values), terminal)]
        loaded += [shared.load(name, None, terminal) for name in inputs[1:]]
        shared.check_types(None if as_array else output, loaded)
        asked: dict[str, Any] = {"apply": loaded[1] if inputs[1:] else None, "seed": seed, "threads": threads}
        factor, X, report = pinv(loaded[0], options, **asked, blas_pinned=terminal.blas_pinned)
        if output is not None:
            array = (factor.reconstruct() if X is None else X) if as_array else None
            _write(output, factor, array, report, values, terminal)
    facts = shared.run_facts(
        values,
        terminal,
        input_path=path,
        seconds=shared.since(started),
        **shared.reading(loaded, report["ledger"]["passes"]),
        threads=threads,
        engine="threads" if threads > 1 else "serial",
    )
    if inputs[1:]:
        facts["apply_path"] = inputs[1]
    facts |= shared.output_bytes(output)
    terminal.show(face, [with_run(report, **facts)], data_on_stdout=shared.to_stdout(output))
    return Exit.DONE


def _options(values: Values) -> PseudoinverseOptions:
    given = {name: read(PseudoinverseOptions, name, values.get(name)) for name in described(PseudoinverseOptions)}
    return PseudoinverseOptions(**{name: value for name, value in given.items() if value is not None})


def _seed(values: Values) -> int:
    from ..streams import Streams

    seed = whole(values["seed"], "seed") if values.get("seed") is not None else 0
    Streams(seed)
    return seed


def _as_array(values: Values) -> bool:
    """Whether one array is written and not factors. Raises UsageError for names and switches that contradict."""
    output, dense, solution = values.get("output"), bool(values.get("dense")), values.get("apply") is not None
    if dense and solution:
        raise UsageError("--dense and --apply contradict each other", hint="the solution is dense always")
    if output is None:
        if dense:
            raise UsageError("--dense says what to write, but not where", hint="add -o FILE.npy, or -o - for a pipe")
        return False
    if shared.to_stdout(output):
        return dense or solution
    if dense or solution or output.lower().endswith(SINGLE):
        shared.check_array_name(output)
        return True
    from ..formats.saving import check_suffix

    check_suffix(output)
    return False


def _write(output: str, factor: Any, array: Any, report: dict[str, Any], values: Values, terminal: Terminal) -> None:
    from ..formats import saving

    no_clobber = bool(values.get("no_clobber"))
    if shared.to_stdout(output):
        if array is None:
            saving.write_factors_to(terminal.data_descriptor(), factor, report)
        else:
            saving.write_array_to(terminal.data_descriptor(), array)
    elif array is None:
        saving.save(factor, report, output, no_clobber=no_clobber)
    else:
        saving.write_array(array, output, no_clobber=no_clobber)


COMMAND = Command(
    help="The pseudo-inverse of a matrix, or least squares solutions with it, and how well it holds.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank pinv A.npy -o A_plus.h5
  lowrank pinv A.npy --apply B.npy -o X.npy
  lowrank pinv A.mtx -k 20 --ridge 0.1 -o A_plus.npy""",
)
