"""lowrank warmup: compile the kernels into the cache."""

from __future__ import annotations

from ..errors import Exit
from . import shared
from .command import Command, Values
from .progress import patience
from .terminal import Terminal


def _run(values: Values, terminal: Terminal) -> int:
    from ..kernels.jit import not_kept, warm_up

    with patience(terminal, "compiling kernels"):
        names = warm_up()
    if not names:
        terminal.note("numba cannot be used here; the NumPy twins of the kernels will run")
    elif why := not_kept():
        terminal.note(f"the kernels are not kept, and each run that needs them compiles them anew: {why}")
    terminal.show(shared.face(values), [{"schema": "lowrank.report/1", "command": "warmup", "kernels": names}])
    return Exit.DONE


COMMAND = Command(
    help="Compile the kernels once into the cache, so that no later run has to.",
    params=lambda: (*shared.REPORT, *shared.TALK),
    run=_run,
    epilog="""Example:
  lowrank warmup -q""",
)
