"""What concerns the whole process, done before anything heavy loads: descriptors, BLAS threads, signals.

A Python signal handler waits until a running LAPACK call returns, which can be minutes. The C-level handler however
writes the signal's number to a descriptor at once; a thread reads it, gives the main thread half a second to unwind,
and then ends the process itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

#: BLAS threads belong to our pool: inside a tile BLAS has one.
_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
GRACE = 0.5


class Stopped(BaseException):
    """A signal asked us to stop."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(number)


def pin_blas() -> bool:
    """Set BLAS to one thread. True when that holds for sure, because NumPy is not loaded yet."""
    for name in _BLAS:
        os.environ[name] = "1"
    return "numpy" not in sys.modules


def separate_stdout() -> int | None:
    """Keep stdout for ourselves: a private descriptor of it, or None when it was closed; descriptor 1 becomes stderr.

    LAPACK prints errors on descriptor 1, which would land inside a matrix. Closed standard descriptors are opened on
    the null device first, so that no file we open later becomes "standard output".
    """
    closed = [fd for fd in (0, 1, 2) if not _is_open(fd)]
    for fd in closed:
        null = os.open(os.devnull, os.O_RDWR)
        if null != fd:
            os.dup2(null, fd)
            os.close(null)
    kept = None if 1 in closed else fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(2, 1)
    return kept


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


class Signals:
    """First signal: Stopped in the main thread, and the end of the process half a second later. Second: at once.

    A signal that was ignored when we started (nohup, a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._holds = 0
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._report, sys.unraisablehook = sys.unraisablehook, self._ignored
        # where no thread may be started a signal is acted on when a call into a library returns
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=self._watch, name="lowrank-signals", daemon=True).start()

    def _handle(self, number: int, frame: Any) -> None:
        if self._first is None:
            self._first = number
            if not self._holds:
                raise Stopped(number)

    def _ignored(self, what: Any) -> None:
        """Stopped goes no further than the finalizer or callback of a weak reference in which it was raised, and h5py
        has one after each read: what was interrupted by that is made to raise it, at its next line, by a trace.
        """
        frame = sys._getframe().f_back
        if what.exc_type is not Stopped:
            self._report(what)
        elif frame is not None:
            frame.f_trace = self._again
            sys.settrace(lambda *_: None)

    def _again(self, *_: Any) -> None:
        sys.settrace(None)
        raise Stopped(self._first or 0)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The main thread, in here, is stopped when it leaves; the process ends if that takes half a second."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
        if self._first is not None and not self._holds:
            raise Stopped(self._first)

    def _watch(self) -> None:
        first = os.read(self._read, 1)
        if first:
            select.select([self._read], [], [], GRACE)
            leave(first[0])


def leave(number: int) -> None:
    """End the process now as a signal would, after removing unfinished files."""
    try:
        clean_up()
    finally:
        os._exit(128 + number)


def clean_up() -> None:
    """Remove unfinished files of this process; loads nothing."""
    temporaries = sys.modules.get("lowrank_cli.formats.temporaries")
    if temporaries is not None:
        temporaries.abort_pending()
