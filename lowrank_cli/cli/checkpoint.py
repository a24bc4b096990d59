"""--checkpoint DIR: the options of commands that can be taken up again, and what they open for it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from ..errors import UsageError
from . import shared
from .command import Param, Values
from .params import real
from .terminal import Terminal

if TYPE_CHECKING:
    from ..formats.checkpoint import Checkpoint

PARAMS = (
    Param(
        "checkpoint",
        "Keep what passes came to in this directory until the work is done; the same command then goes on where it was "
        "interrupted, and gives the same bits.",
        ("--checkpoint",),
        "DIR",
        "Resources",
    ),
    Param(
        "checkpoint_every",
        "With --checkpoint: seconds after which a pass under way is saved; 0: whenever it can be.  [default: 60]",
        ("--checkpoint-every",),
        "SECONDS",
        "Resources",
    ),
)


def check(values: Values, given: int) -> None:
    """Raise UsageError for options that contradict each other, or more than one matrix."""
    path = values.get("checkpoint")
    if path is None:
        if values.get("checkpoint_every") is not None:
            raise UsageError("--checkpoint-every says how often, but not where", hint="add --checkpoint DIR")
        return
    if not path or "\0" in path:
        raise UsageError("--checkpoint needs the name of a directory")
    if given > 1:
        raise UsageError(f"--checkpoint keeps the work on one matrix, not on {given}", hint="name one matrix")
    output = values.get("output")
    if output is not None and not shared.to_stdout(output):
        folder = os.path.realpath(os.path.dirname(output.rstrip("/")) or ".")
        if os.path.realpath(path) in (folder, os.path.realpath(output)):
            raise UsageError("--checkpoint and the output are in one directory", hint="name another one")
    _every(values)


def opened(values: Values, terminal: Terminal) -> contextlib.AbstractContextManager[Checkpoint | None]:
    """The checkpoint asked for, None without one. Entering it raises what ``formats.checkpoint`` says."""
    path = values.get("checkpoint")
    if path is None:
        return contextlib.nullcontext()
    from ..formats.checkpoint import Checkpoint

    tell = terminal.note if terminal.err.isatty() else terminal.detail
    return Checkpoint(path, _every(values), tell, terminal.warn, terminal.held)


def _every(values: Values) -> float:
    from ..formats.checkpoint import EVERY

    text = values.get("checkpoint_every")
    seconds = EVERY if text is None else real(text, "checkpoint_every")
    if seconds < 0:
        raise UsageError(f"--checkpoint-every must be at least 0, not {text}")
    return seconds
