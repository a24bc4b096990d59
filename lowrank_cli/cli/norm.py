"""lowrank norm: norms of a matrix with what is certain about each, and the gradient of the spectral norm as factors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..algorithms.norms import NormOptions
from ..errors import Exit, UsageError
from ..formats import NAMED, SINGLE
from ..options import described
from . import checkpoint, shared
from .command import Command, Param, Values
from .params import field_param, read, whole
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    from ..factors.svd import SVD
    from ..formats.checkpoint import Checkpoint

OUTPUT = Param(
    "output",
    f"Save the gradient: as an SVD of rank one ({NAMED}), or dense ({', '.join(SINGLE)}); - writes a "
    "stored .npz to standard output.",
    ("-o", "--output"),
    "FILE",
    "Output",
)


def _params() -> tuple[Param, ...]:
    return (
        Param("matrix", "The matrix: PATH, PATH:ITEM, or - for standard input.", metavar="A"),
        *shared.INPUT,
        *(field_param(NormOptions, name) for name in described(NormOptions)),
        shared.SEED,
        *shared.RESOURCES,
        *checkpoint.PARAMS,
        OUTPUT,
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    from ..streams import Streams

    path, output, face = values["matrix"], values.get("output"), shared.face(values)
    given = {name: read(NormOptions, name, values.get(name)) for name in described(NormOptions)}
    options = NormOptions(**{name: value for name, value in given.items() if value is not None})
    seed = Streams(whole(values["seed"], "seed") if values.get("seed") is not None else 0).seed
    threads = shared.threads(values)
    shared.check_inputs([path])
    _check_output(output, options)
    shared.check_output(output, [path], values, terminal)
    checkpoint.check(values, 1)
    with checkpoint.opened(values, terminal) as kept:
        report = _measured(path, options, seed, threads, kept, values, terminal)
        terminal.show(face, [report], data_on_stdout=shared.to_stdout(output))
        if kept is not None:
            kept.finish()
    warning = (report.get("gradient") or {}).get("warning")
    if warning:
        terminal.warn(warning)
    return Exit.DONE


def _measured(
    path: str,
    options: NormOptions,
    seed: int,
    threads: int,
    kept: Checkpoint | None,
    values: Values,
    terminal: Terminal,
) -> dict[str, Any]:
    """The report, when what is asked for is written."""
    from ..reports.facts import with_run

    started, output = time.perf_counter(), values.get("output")
    with patience(terminal, f"norm {path}"):
        from ..analysis.norm import norm

        loaded = shared.load(path, shared.item(values), terminal)
        how = {"threads": threads, "blas_pinned": terminal.blas_pinned, "checkpoint": kept}
        factor, report = norm(loaded, options, seed=seed, **how)
        _write(output, factor, report, values, terminal)
    facts = shared.run_facts(
        values,
        terminal,
        input_path=path,
        **shared.reading([loaded], report["ledger"]["passes"]),
        threads=threads,
        engine="threads" if threads > 1 else "serial",
        seconds=shared.since(started),
    )
    return with_run(report, **facts, **shared.output_bytes(output))


def _check_output(output: str | None, options: NormOptions) -> None:
    if output is None:
        return
    if options.gradient is None:
        raise UsageError("-o saves a gradient, and none was asked for", hint="add --gradient spectral")
    if not shared.to_stdout(output) and not output.lower().endswith(SINGLE):
        from ..formats.saving import check_suffix

        check_suffix(output)


def _write(output: str | None, factor: SVD | None, report: dict[str, Any], values: Values, terminal: Terminal) -> None:
    if output is None or factor is None:
        return
    from ..formats import saving

    no_clobber = bool(values.get("no_clobber"))
    if shared.to_stdout(output):
        saving.write_factors_to(terminal.data_descriptor(), factor, report)
    elif output.lower().endswith(SINGLE):
        saving.write_array(factor.reconstruct(), output, no_clobber=no_clobber)
    else:
        saving.save(factor, report, output, no_clobber=no_clobber)


COMMAND = Command(
    help="Norms of a matrix, exact or as an interval that says how it is known, and the gradient of the spectral norm.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank norm A.npy --kind fro,spectral,nuclear,schatten:4,max
  lowrank norm W.npy --gradient decay -o G.h5
  lowrank norm A.mtx --effective-ranks --json""",
)
