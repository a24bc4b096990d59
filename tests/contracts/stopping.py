"""A run that is ended wherever it keeps something, as by a kill that nothing can catch, and then started again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lowrank_cli.formats.checkpoint import Checkpoint


class Killed(BaseException):
    """What no code of ours catches."""


class Stopping(Checkpoint):
    """Ends the run when it has kept something so many times."""

    def __init__(self, path: Any, times: int = 1, every: float = 0, **more: Any):
        super().__init__(str(path), every, **more)
        self.times = times

    def keep(self, key: str, what: dict[str, Any], position: str | None = None) -> None:
        super().keep(key, what, position)
        self.times -= 1
        if self.times == 0:
            raise Killed


def stopped_everywhere(path: Path, run: Callable[[Checkpoint], Any]) -> tuple[Any, int]:
    """What the run comes to that is started again until it ends, and how often it was stopped."""
    for stops in itertools.count():
        try:
            with Stopping(path) as kept:
                found = run(kept)
                kept.finish()
                return found, stops
        except Killed:
            assert stops < 500
    raise AssertionError


def stopped(path: Path, times: int, run: Callable[[Checkpoint], Any]) -> None:
    """Leave the checkpoint of a run that was ended when it had kept something so many times."""
    try:
        with Stopping(path, times) as kept:
            run(kept)
    except Killed:
        return
    raise AssertionError(f"the run ended before it kept {times} things")
