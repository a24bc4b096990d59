"""A pipe, or what is behind gzip and bzip2, in a file of its own: for what has to be read back and forth."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import LowrankError, OutputError, ResourceError
from .sources import Source
from .temporaries import Temporary

if TYPE_CHECKING:
    from .loaded import Loaded

_PIECE = 1 << 20


@contextlib.contextmanager
def spooled(source: Source, shown: str) -> Iterator[str]:
    """The path of a copy that only we can read, removed in the end. Raises ResourceError when it finds no room.

    What goes wrong with the copy is told of ``shown``, the name that the user gave.
    """
    with tempfile.NamedTemporaryFile(prefix="lowrank-") as copy:
        folder = os.path.dirname(copy.name)
        # an endless pipe must not fill a disk that others use
        most = shutil.disk_usage(folder).free // 2
        _copied(source, copy.fileno(), most, f"set TMPDIR to a folder with more room than {folder}")
        with _told_of(source, shown, copy.name):
            yield copy.name


def kept(source: Source, folder: str, shown: str, load: Callable[[str], Loaded]) -> Loaded:
    """What load makes of a copy of the source in the folder, which lasts as long as the matrix reads it, or until the
    process is ended. Raises OutputError for a folder that cannot be written to, ResourceError when it has no room."""
    try:
        copy = Temporary(os.open(folder, os.O_RDONLY | os.O_DIRECTORY), folder, "stream")
        descriptor = copy.create(0o600)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"no copy can be kept there ({reason})", where=folder, hint="name a folder") from error
    try:
        _copied(source, descriptor, None, f"give --spool a folder with more room than {folder}")
        with _told_of(source, shown, copy.path):
            loaded = load(copy.path)
    except BaseException:
        _forget(copy, descriptor)
        raise
    if hasattr(loaded.array, "slabs"):
        weakref.finalize(loaded.array, _forget, copy, descriptor)
    else:
        _forget(copy, descriptor)
    return loaded


def _forget(copy: Temporary, descriptor: int) -> None:
    copy.discard()
    os.close(descriptor)
    os.close(copy.folder_fd)


def _copied(source: Source, descriptor: int, most: int | None, hint: str) -> None:
    """Write all of the source to a file; most: bytes that it may take."""
    while piece := source.read(_PIECE):
        view = memoryview(piece)
        try:
            if most is not None:
                most -= len(view)
                if most < 0:
                    raise OSError(errno.ENOSPC, "it would fill more than half of the disk")
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResourceError(f"there is no room for a copy ({reason})", where=source.where, hint=hint) from error


@contextlib.contextmanager
def _told_of(source: Source, shown: str, path: str) -> Iterator[None]:
    """What goes wrong with the copy at path, told of the name that the user gave."""
    try:
        yield
    except LowrankError as error:
        where = (error.where or "").replace(path, source.where) or None
        hint = error.hint
        if hint is not None:
            # on standard input there is no path to write an item behind
            hint = hint.replace(f"{path}:", "-d " if shown == "-" else f"{shown}:").replace(path, shown)
        raise type(error)(error.what.replace(path, shown), where=where, hint=hint) from error
