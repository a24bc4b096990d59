"""lowrank product: X Y from sampled columns of X and rows of Y; short for ``approx X --times Y --method cr``."""

from __future__ import annotations

from . import checkpoint, shared
from .approx import OUTPUT, execute
from .command import Command, Param, Values
from .params import budget_params, method_params
from .terminal import Terminal

METHOD = "cr"


def _params() -> tuple[Param, ...]:
    return (
        Param(
            "matrix",
            "The first factor: PATH, PATH:ITEM, or - for standard input.",
            metavar="X",
        ),
        Param("times", "The second factor, with as many rows as X has columns.", metavar="Y"),
        *shared.INPUT,
        *budget_params(rank_flags=("-r", "-k")),
        *method_params((METHOD,)),
        shared.SEED,
        *shared.RESOURCES,
        *checkpoint.PARAMS,
        *OUTPUT,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    return execute("product", METHOD, values, terminal)


COMMAND = Command(
    help="Approximate the product X Y from sampled columns of X and rows of Y.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank product X.npy Y.npy --rank 100 -o XY.npz
  lowrank product X.npy Y.npy --rtol 0.05 --scheme priority

Exit: 0 done, 2 usage, 3 tolerance missed (output written), 4 input, 5 output.""",
)
