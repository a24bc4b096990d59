"""A pipe, or what is behind gzip and bzip2, in a temporary file: for formats that have to be read back and forth."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator

from ..errors import LowrankError, ResourceError
from .sources import Source

_PIECE = 1 << 20


@contextlib.contextmanager
def spooled(source: Source, shown: str) -> Iterator[str]:
    """The path of a copy that only we can read, removed in the end. Raises ResourceError when it finds no room.

    What goes wrong with the copy is told of ``shown``, the name that the user gave.
    """
    with tempfile.NamedTemporaryFile(prefix="lowrank-") as copy:
        # an endless pipe must not fill a disk that others use
        left = shutil.disk_usage(os.path.dirname(copy.name)).free // 2
        while piece := source.read(_PIECE):
            left -= len(piece)
            try:
                if left < 0:
                    raise OSError(errno.ENOSPC, "it would fill more than half of the disk")
                copy.write(piece)
                copy.flush()
            except OSError as error:
                raise ResourceError(
                    f"there is no room for a copy ({error.strerror or error})",
                    where=source.where,
                    hint=f"set TMPDIR to a folder with more room than {os.path.dirname(copy.name)}",
                ) from error
        try:
            yield copy.name
        except LowrankError as error:
            where = (error.where or "").replace(copy.name, source.where) or None
            hint = error.hint
            if hint is not None:
                # on standard input there is no path to write an item behind
                hint = hint.replace(f"{copy.name}:", "-d " if shown == "-" else f"{shown}:").replace(copy.name, shown)
            raise type(error)(error.what.replace(copy.name, shown), where=where, hint=hint) from error
