"""lowrank convert: saved factors, or a matrix, in another format."""

from __future__ import annotations

import os
from typing import Any

from ..errors import Exit, UsageError
from ..formats import MATRIX_NAMED, NAMED, SINGLE
from . import shared
from .command import Command, Param, Values
from .terminal import Terminal


def _params() -> tuple[Param, ...]:
    target = f"Where it goes: factors to {NAMED}; a matrix to {MATRIX_NAMED}; - for standard output."
    return (
        Param("input", "A file of saved factors, or a matrix: PATH, PATH:ITEM, or - for standard input.", metavar="IN"),
        Param("output", target, metavar="OUT"),
        *shared.INPUT,
        shared.NO_CLOBBER,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    source, output, item = values["input"], values["output"], shared.item(values)
    from ..formats import opening, saving

    path, inside = opening.split_item(source)
    # an item names one array of a container, even where the container holds factors
    factors = item is None and inside is None and path != shared.STDIN and saving.is_factors(path)
    if not shared.to_stdout(output):
        if factors:
            _check_factors_name(output)
        elif output.endswith("/"):
            saving.load_headers(source)  # says why there are no factors
        else:
            shared.check_array_name(output)
    shared.check_inputs([source])
    shared.check_output(output, [source], values, terminal)
    (_factors if factors else _matrix)(values, terminal)
    return Exit.DONE


def _check_factors_name(output: str) -> None:
    """Raise UsageError when factors have no form under the name of the output."""
    from ..formats import saving

    if output.lower().endswith(SINGLE):
        raise UsageError(
            f"factors are several arrays, and {os.path.splitext(output)[1]} holds one",
            where=output,
            hint=f"write them to {NAMED}; name one as FILE:U, or multiply them with lowrank reconstruct",
        )
    saving.check_suffix(output)


def _factors(values: Values, terminal: Terminal) -> None:
    from ..formats import saving

    saved, output = saving.load_factors(values["input"]), values["output"]
    terminal.detail(f"{values['input']}: {saved.kind} of rank {saved.factor.rank}")
    if shared.to_stdout(output):
        saving.write_factors_to(terminal.data_descriptor(), saved.factor, saved.report)
    else:
        saving.save(saved.factor, saved.report, output, no_clobber=bool(values.get("no_clobber")))


def _matrix(values: Values, terminal: Terminal) -> None:
    from ..factors.base import dense, is_sparse
    from ..formats import saving
    from ..memory import require

    loaded, output = shared.load(values["input"], shared.item(values), terminal), values["output"]
    array: Any = loaded.array
    m, n = loaded.shape
    stream = shared.to_stdout(output)
    if is_sparse(array) and (stream or not saving.matrix_file(output)[0].sparse):
        require(m * n * array.dtype.itemsize, f"the dense {m}x{n} matrix", "this format holds every zero")
        terminal.note(f"{loaded.source}: {array.nnz} stored entries become {m} x {n} dense ones")
    if str(array.dtype) != loaded.item.dtype:
        terminal.note(f"{loaded.source}: stored as {loaded.item.dtype}, written as {array.dtype}")
    if stream:
        saving.write_array_to(terminal.data_descriptor(), dense(array))
    else:
        saving.write_array(array, output, no_clobber=bool(values.get("no_clobber")))


COMMAND = Command(
    help="Write saved factors, or a matrix, in another format; no value changes.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank convert A.svd.npz A.svd.h5
  lowrank convert data.h5:/X X.npy
  lowrank convert A.mtx A.npy
  lowrank convert A.mtx.gz A.mat""",
)
