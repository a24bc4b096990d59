"""The three streams as a command sees them: data and report out, talk on stderr, and nothing lost in silence."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from ..errors import OutputError
from ..matrices.watch import UNWATCHED, Watch
from ..reports import Style, render
from ..reports.text import safe


class ReaderGone(Exception):
    """Nobody reads our output any more (``| head``): stop quietly, exit 141."""


class DescriptorWriter(io.RawIOBase):
    """An unbuffered writer that writes all of it or raises; fd None is a stream that was closed before we started."""

    def __init__(self, fd: int | None, name: str):
        self._fd, self._name = fd, name

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._fd is None:
            raise io.UnsupportedOperation(f"{self._name} is closed")
        return self._fd

    def isatty(self) -> bool:
        return self._fd is not None and os.isatty(self._fd)

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        if self._fd is None:
            raise OutputError("is closed", where=self._name, hint="redirect it to a file, or use -q")
        done = 0
        while done < len(view):
            try:
                done += os.write(self._fd, view[done:])
            except BrokenPipeError as error:
                raise ReaderGone from error
            except BlockingIOError:
                _wait_writable(self._fd)
            except OSError as error:
                raise OutputError(f"cannot be written ({error.strerror})", where=self._name) from error
        return done


def _wait_writable(fd: int) -> None:
    import select

    select.select([], [fd], [])


def text_stream(fd: int | None, name: str, like: TextIO | None) -> TextIO:
    """An unbuffered text stream on a descriptor, in the encoding of the stream it stands in for."""
    encoding = getattr(like, "encoding", None) or "utf-8"
    raw: Any = DescriptorWriter(fd, name)
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", newline="\n", write_through=True)


@dataclasses.dataclass
class Terminal:
    """Where a command's words go. data_fd is where ``-o -`` writes; None when standard output was closed.

    blas_pinned: the process started with BLAS at one thread. quiet: errors only. verbose: how many -v. watch: who shows
    how far passes are. held: a context in which signals wait.
    """

    out: TextIO = dataclasses.field(default_factory=lambda: sys.stdout)
    err: TextIO = dataclasses.field(default_factory=lambda: sys.stderr)
    data_fd: int | None = None
    argv: Sequence[str] = ()
    blas_pinned: bool = False
    debug: bool = False
    quiet: bool = False
    verbose: int = 0
    watch: Watch = UNWATCHED
    held: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext

    def line(self, kind: str, text: str) -> None:
        """One line of talk. What cannot be said is dropped: the exit code is the truth, and must not change."""
        with contextlib.suppress(OutputError):
            self.err.write(f"lowrank: {kind}: {safe(text)}\n")

    def note(self, text: str) -> None:
        """Something to know, such as which dataset was taken."""
        if not self.quiet:
            self.line("note", text)

    def warn(self, text: str) -> None:
        if not self.quiet:
            self.line("warning", text)

    def detail(self, text: str) -> None:
        """For -v."""
        if self.verbose and not self.quiet:
            self.line("info", text)

    def pass_on(self, said: str) -> None:
        """Talk that was kept back, as it was said."""
        if said:
            with contextlib.suppress(OutputError):
                self.err.write(said)

    def show(self, face: str, reports: Sequence[dict[str, Any]], *, data_on_stdout: bool = False) -> None:
        """Print reports: on stdout, or on stderr when stdout carries the data."""
        if not self.quiet:
            stream = self.err if data_on_stdout else self.out
            stream.write(render(face, reports, style_of(stream)))

    def data_descriptor(self) -> int:
        """The descriptor for binary data. Raises OutputError when standard output is closed."""
        if self.data_fd is None:
            raise OutputError("is closed", where="standard output", hint="redirect it to a file, or use -o FILE")
        return self.data_fd

    @property
    def data_is_terminal(self) -> bool:
        return self.data_fd is not None and os.isatty(self.data_fd)


def style_of(stream: TextIO) -> Style:
    """What the stream can show: full numbers and no shortening unless somebody watches."""
    narrow = not (getattr(stream, "encoding", None) or "ascii").lower().replace("_", "-").startswith("utf")
    if not stream.isatty():
        return Style(ascii=narrow)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Style(width=columns(stream), colour=not plain, full=False, ascii=narrow)


def columns(stream: TextIO) -> int:
    """The width of the terminal behind a stream."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and 0 < int(said[:6]):
        return int(said[:6])
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
