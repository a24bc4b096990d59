"""lowrank apply: saved factors times a block of columns."""

from __future__ import annotations

from typing import Any

from ..errors import Exit, UsageError
from ..formats import MATRIX_NAMED
from . import shared
from .command import Command, Param, Values
from .terminal import Terminal


def _params() -> tuple[Param, ...]:
    output = f"Where the product goes ({MATRIX_NAMED}); - for standard output."
    return (
        Param("factors", "A file of saved factors.", metavar="F"),
        Param("block", "The block: PATH, PATH:ITEM, or - for standard input.", metavar="X"),
        Param("adjoint", "Multiply by the conjugate transpose of F.", ("--adjoint",), None, "Input", "switch"),
        Param("output", output, ("-o", "--output"), "FILE", "Output"),
        shared.NO_CLOBBER,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    output: Any = values.get("output")
    if output is None:
        raise UsageError("apply needs a place for the product", hint="add -o Y.npy, or -o - for a pipe")
    if not shared.to_stdout(output):
        shared.check_array_name(output)
    inputs = [values["factors"], values["block"]]
    shared.check_inputs([values["block"]])
    shared.check_output(output, inputs, values, terminal)
    from ..analysis.apply import apply
    from ..formats import saving

    factor = saving.load_factors(values["factors"]).factor
    m, n = factor.shape
    terminal.detail(f"{values['factors']}: {factor.kind} of rank {factor.rank}, {m} x {n}")
    block = shared.load(values["block"], None, terminal)
    product = apply(factor, block, adjoint=bool(values.get("adjoint")), blas_pinned=terminal.blas_pinned)
    if shared.to_stdout(output):
        saving.write_array_to(terminal.data_descriptor(), product)
    else:
        saving.write_array(product, output, no_clobber=bool(values.get("no_clobber")))
    return Exit.DONE


COMMAND = Command(
    help="Multiply a block of columns by saved factors, without multiplying these out.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank apply A.svd.npz X.npy -o AX.npy
  lowrank apply A.svd.npz Y.npy --adjoint -o - | consumer""",
)
