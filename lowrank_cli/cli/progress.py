"""A sign of life on stderr for work that takes more than two seconds, when somebody watches."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from ..reports.text import safe
from .terminal import Terminal

AFTER = 2.0
EVERY = 0.5


@contextlib.contextmanager
def patience(terminal: Terminal, what: str) -> Iterator[None]:
    """Show ``what`` and the seconds that passed on one line of the terminal, and wipe it at the end."""
    if terminal.quiet or not terminal.err.isatty():
        yield
        return
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(terminal, safe(what)[:60], done), daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _tick(terminal: Terminal, what: str, done: threading.Event) -> None:
    started = time.monotonic()
    if done.wait(AFTER):
        return
    line = ""
    while True:
        line = f"{what}: {time.monotonic() - started:.0f} s"
        terminal.err.write("\r" + line)
        if done.wait(EVERY):
            break
    terminal.err.write("\r" + " " * len(line) + "\r")
