"""lowrank list: the tables of methods and formats. Loads none of them."""

from __future__ import annotations

from typing import Any

from ..algorithms import TABLE as METHODS
from ..errors import Exit, UsageError
from ..formats import MATRICES, WRITERS
from ..formats import TABLE as FORMATS
from . import shared
from .command import Command, Param, Values
from .terminal import Terminal

WHAT = ("methods", "formats")


def _rows(what: str) -> list[dict[str, Any]]:
    if what == "methods":
        return [{"name": name, "summary": entry.summary} for name, entry in METHODS.items()]
    read = [{"name": name, "use": "read", "summary": entry.summary} for name, entry in FORMATS.items()]
    tables = (WRITERS, MATRICES)
    return read + [
        {"name": name, "use": "write", "summary": entry.summary} for table in tables for name, entry in table.items()
    ]


def _run(values: Values, terminal: Terminal) -> int:
    what = values["what"]
    if what not in WHAT:
        raise UsageError(f"there is no list of {what!r}", hint=f"choose one of {', '.join(WHAT)}")
    report = {"schema": "lowrank.report/1", "command": "list", what: _rows(what)}
    terminal.show(shared.face(values), [report])
    return Exit.DONE


COMMAND = Command(
    help="List the methods, or the file formats that are read and written.",
    params=lambda: (
        Param("what", f"One of {', '.join(WHAT)}.", metavar="WHAT", choices=WHAT),
        *shared.REPORT,
        *shared.TALK,
    ),
    run=_run,
    epilog="""Examples:
  lowrank list methods
  lowrank list formats --json""",
)
