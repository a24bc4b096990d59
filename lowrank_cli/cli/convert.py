"""lowrank convert: saved factors, or a matrix, in another format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import Exit, UsageError
from ..formats import MATRIX_NAMED, NAMED, SINGLE
from . import shared
from .command import Command, Param, Values
from .terminal import Terminal

if TYPE_CHECKING:
    from ..formats.loaded import Loaded


def _params() -> tuple[Param, ...]:
    target = f"Where it goes: factors to {NAMED}; a matrix to {MATRIX_NAMED}; - for standard output."
    return (
        Param("input", "A file of saved factors, or a matrix: PATH, PATH:ITEM, or - for standard input.", metavar="IN"),
        Param("output", target, metavar="OUT"),
        *shared.INPUT,
        shared.MEMORY,
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
    archive = output.lower().endswith(".npz")
    (_factors if factors else _archive if archive else _matrix)(values, terminal)
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


def _archive(values: Values, terminal: Terminal) -> None:
    """A matrix as .npz: a sparse one by rows, a part at a time where it does not fit in memory."""
    from ..factors.base import is_sparse
    from ..formats import opening
    from ..formats.loaded import Loaded
    from ..formats.sparse_writer import rows_of, write
    from ..matrices.lines import Lines

    source, output = values["input"], values["output"]
    found = opening.open_rows(source, shared.item(values), output)
    if isinstance(found, Loaded):
        if not is_sparse(found.array) and not isinstance(found.array, Lines):
            shared.say_notes(found, found.notes, terminal)
            return _write(found, values, terminal)
        found = rows_of(found)
    write(found, output, bool(values.get("no_clobber")))
    for note in found.notes:
        terminal.note(f"{source}: {note}")
    if str(found.dtype) != found.stored:
        terminal.note(f"{source}: stored as {found.stored}, written as {found.dtype}")


def _matrix(values: Values, terminal: Terminal) -> None:
    _write(shared.load(values["input"], shared.item(values), terminal), values, terminal)


def _write(loaded: Loaded, values: Values, terminal: Terminal) -> None:
    from ..factors.base import dense, is_sparse
    from ..formats import saving
    from ..memory import require

    array: Any = loaded.array
    (m, n), output = loaded.shape, values["output"]
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
  lowrank convert A.mtx.gz A.mat
  lowrank convert big.mtx big.npz     sparse; read in parts from then on""",
)
