"""How far the work is, on stderr: one line that is wiped again where somebody watches, a line a pass for -v."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from ..matrices.watch import UNWATCHED, Watch
from ..reports.text import safe
from .terminal import Terminal, columns

AFTER = 2.0
EVERY = 0.5


@contextlib.contextmanager
def patience(terminal: Terminal, what: str) -> Iterator[None]:
    """Show how far ``what`` is on one line of the terminal, from the third second on, and wipe it at the end.

    Until then ``terminal.watch`` is who passes over matrices are to be told to.
    """
    shown = not terminal.quiet and terminal.err.isatty()
    if not shown and not (terminal.verbose and not terminal.quiet):
        yield
        return
    progress = Progress(safe(what)[:60], terminal)
    terminal.watch = progress
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(terminal, progress, done), daemon=True)
    if shown:
        ticker.start()
    try:
        yield
    finally:
        terminal.watch = UNWATCHED
        done.set()
        if shown:
            ticker.join()


def _tick(terminal: Terminal, progress: Progress, done: threading.Event) -> None:
    if done.wait(AFTER):
        return
    while True:
        # the last column stays free: some terminals wrap when it is written
        line = progress.line(columns(terminal.err) - 1)
        with progress.lock:
            terminal.err.write("\r" + line + " " * (progress.drawn - len(line)))
            progress.drawn = len(line)
        if done.wait(EVERY):
            break
    with progress.lock:
        progress.wipe()


class Progress(Watch):
    """What passes tell, as a line to show. A pass is what the ledger counts: its number, how much of it is done, how
    fast bytes go by, and how long the rest of this pass is going to take."""

    def __init__(self, what: str, terminal: Terminal):
        self.what, self.terminal = what, terminal
        self.lock = threading.Lock()
        #: Characters that the line on the terminal has.
        self.drawn = 0
        self._started = time.monotonic()
        self._number = 0
        self._passes: int | None = None
        self._size = self._done = 0
        self._since = self._started

    def expects(self, needed: dict[str, int], passes: int | None) -> None:
        self._passes = passes
        parts = ", ".join(f"{what} {size_of(size)}" for what, size in needed.items() if size >= 1_000_000)
        self.terminal.detail(f"memory: about {size_of(sum(needed.values()))} more at most: {parts}")

    def begins(self, number: int) -> None:
        with self.lock:
            self._number, self._size, self._done, self._since = number, 0, 0, time.monotonic()

    def reads(self, size: int) -> None:
        with self.lock:
            if self._size == 0:
                self._since = time.monotonic()
            self._size += size

    def came(self, size: int) -> None:
        with self.lock:
            self._done += size

    def ends(self) -> None:
        with self.lock:
            seconds = time.monotonic() - self._since
            if self.terminal.verbose:
                self.wipe()
                speed = f", {size_of(self._done / seconds)}/s" if seconds > 0 else ""
                # what workers of a cluster read is not seen from here
                read = f"{size_of(self._done)} in {seconds:.2f} s{speed}" if self._done else f"{seconds:.2f} s"
                self.terminal.detail(f"pass {self._number}: {read}")
            self._size = self._done = 0

    def wipe(self) -> None:
        """Take the line off the terminal."""
        if self.drawn:
            self.terminal.err.write("\r" + " " * self.drawn + "\r")
            self.drawn = 0

    def line(self, width: int) -> str:
        """As much as the width holds of: what is done, which pass, how much of it, how fast, how long it takes."""
        with self.lock:
            now = time.monotonic()
            number, size, done = self._number, self._size, min(self._done, self._size)
            passed = now - self._since
        elapsed = f"{now - self._started:.0f} s"
        if not number or not size:
            words = [f"{self.what}: {elapsed}", elapsed]
        else:
            of = f" of about {self._passes}" if self._passes and self._passes >= number else ""
            short = f"pass {number} {done / size:.0%}"
            words = [f"{self.what}: {short}, {elapsed}", f"{short}, {elapsed}", short]
            if done and passed > 0:
                speed, rest = f"{size_of(done / passed)}/s", (size - done) / done
                left = f"{passed * rest:.0f} s left in it"
                if of and self._passes:
                    # the passes that are still to come take as long as this one
                    left = f"about {passed * (rest + (self._passes - number) * size / done):.0f} s left"
                words.insert(
                    0, f"{self.what}: pass {number}{of}, {done / size:.0%} of {size_of(size)}, {speed}, {left}"
                )
        return next((line for line in words if len(line) <= width), words[-1][: max(0, width)])


def size_of(size: float) -> str:
    """Bytes as a person reads them: "1.2 GB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
