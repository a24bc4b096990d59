"""lowrank reconstruct: the dense matrix that saved factors stand for."""

from __future__ import annotations

from typing import Any

from ..errors import Exit, UsageError
from ..formats import MATRIX_NAMED
from . import shared
from .command import Command, Param, Values
from .terminal import Terminal


def _params() -> tuple[Param, ...]:
    output = f"Where the dense matrix goes ({MATRIX_NAMED}); - for standard output."
    return (
        Param("factors", "A file of saved factors.", metavar="F"),
        Param("output", output, ("-o", "--output"), "FILE", "Output"),
        shared.NO_CLOBBER,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    output: Any = values.get("output")
    if output is None:
        raise UsageError("reconstruct needs a place for the matrix", hint="add -o A.npy, or -o - for a pipe")
    if not shared.to_stdout(output):
        shared.check_array_name(output)
    shared.check_output(output, [values["factors"]], values, terminal)
    from ..formats import saving

    factor = saving.load_factors(values["factors"]).factor
    m, n = factor.shape
    terminal.detail(f"{values['factors']}: {factor.kind} of rank {factor.rank}, {m} x {n} when multiplied out")
    array = factor.reconstruct()
    if shared.to_stdout(output):
        saving.write_array_to(terminal.data_descriptor(), array)
    else:
        saving.write_array(array, output, no_clobber=bool(values.get("no_clobber")))
    return Exit.DONE


COMMAND = Command(
    help="Multiply saved factors back to a dense matrix.",
    params=_params,
    run=_run,
    epilog="""Example:
  lowrank reconstruct A.svd.npz -o A.npy""",
)
