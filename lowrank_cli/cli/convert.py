"""lowrank convert: saved factors, or a matrix, in another format."""

from __future__ import annotations

from typing import Any

from ..errors import Exit, UsageError
from ..formats import NAMED
from . import shared
from .command import Command, Param, Values
from .terminal import Terminal


def _params() -> tuple[Param, ...]:
    target = f"Where it goes: factors to {NAMED}, a matrix to .npy, a sparse one to .npz; - for standard output."
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
    sparse = not factors and output.lower().endswith(".npz")
    if not shared.to_stdout(output) and not sparse:
        if not factors and item is None and inside is None and output.lower().endswith((".h5", "/")):
            saving.load_headers(source)  # says why there are no factors
        _check_name(output, factors)
    shared.check_inputs([source])
    shared.check_output(output, [source], values, terminal)
    (_factors if factors else _sparse if sparse else _matrix)(values, terminal)
    return Exit.DONE


def _check_name(output: str, factors: bool) -> None:
    """Raise UsageError when what was given has no form under the name of the output, and say what has."""
    from ..formats import saving

    array = output.lower().endswith(".npy")
    if factors and array:
        raise UsageError(
            "factors are several arrays, and .npy holds one",
            where=output,
            hint=f"write them to {NAMED}; lowrank reconstruct writes their product",
        )
    if factors:
        saving.check_suffix(output)
    else:
        shared.check_array_name(output)


def _factors(values: Values, terminal: Terminal) -> None:
    from ..formats import saving

    saved, output = saving.load_factors(values["input"]), values["output"]
    terminal.detail(f"{values['input']}: {saved.kind} of rank {saved.factor.rank}")
    if shared.to_stdout(output):
        saving.write_factors_to(terminal.data_descriptor(), saved.factor, saved.report)
    else:
        saving.save(saved.factor, saved.report, output, no_clobber=bool(values.get("no_clobber")))


def _sparse(values: Values, terminal: Terminal) -> None:
    """A sparse matrix by rows, a part at a time where it does not fit in memory."""
    from ..factors.base import is_sparse
    from ..formats import opening
    from ..formats.loaded import Loaded
    from ..formats.sparse_writer import rows_of, write
    from ..matrices.lines import Lines

    source, output = values["input"], values["output"]
    found = opening.open_rows(source, shared.item(values), output)
    if isinstance(found, Loaded):
        if not is_sparse(found.array) and not isinstance(found.array, Lines):
            raise UsageError(
                "a dense matrix is written as .npy", where=output, hint="factors and sparse matrices go to .npz"
            )
        found = rows_of(found)
    write(found, output, bool(values.get("no_clobber")))
    for note in found.notes:
        terminal.note(f"{source}: {note}")
    if str(found.dtype) != found.stored:
        terminal.note(f"{source}: stored as {found.stored}, written as {found.dtype}")


def _matrix(values: Values, terminal: Terminal) -> None:
    from ..factors.base import dense, is_sparse
    from ..formats import saving
    from ..memory import require

    loaded, output = shared.load(values["input"], shared.item(values), terminal), values["output"]
    array: Any = loaded.array
    m, n = loaded.shape
    if is_sparse(array):
        require(m * n * array.dtype.itemsize, f"the dense {m}x{n} matrix", "a .npy file holds every zero")
        terminal.note(f"{loaded.source}: {array.nnz} stored entries become {m} x {n} dense ones")
    if str(array.dtype) != loaded.item.dtype:
        terminal.note(f"{loaded.source}: stored as {loaded.item.dtype}, written as {array.dtype}")
    if shared.to_stdout(output):
        saving.write_array_to(terminal.data_descriptor(), dense(array))
    else:
        saving.write_array(dense(array), output, no_clobber=bool(values.get("no_clobber")))


COMMAND = Command(
    help="Write saved factors, or a matrix, in another format; no value changes.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank convert A.svd.npz A.svd.h5
  lowrank convert data.h5:/X X.npy
  lowrank convert A.mtx A.npy
  lowrank convert big.mtx big.npz     sparse; read in parts from then on""",
)
