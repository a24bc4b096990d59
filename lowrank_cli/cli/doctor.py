"""lowrank doctor: what this installation and this machine can do."""

from __future__ import annotations

from ..errors import Exit
from . import shared
from .command import Command, Values
from .terminal import Terminal


def _run(values: Values, terminal: Terminal) -> int:
    from ..analysis.doctor import doctor

    face = shared.face(values)
    report = doctor()
    terminal.show(face, [report])
    return Exit.DONE if report["healthy"] else Exit.FAILED


COMMAND = Command(
    help="Say what this installation and this machine can do: versions, BLAS, threads, memory, kernel cache, extras, "
    "limits. Exit 1 when something is broken.",
    params=lambda: (*shared.REPORT, *shared.TALK),
    run=_run,
    epilog="""Examples:
  lowrank doctor
  lowrank doctor --report md > report.md""",
)
