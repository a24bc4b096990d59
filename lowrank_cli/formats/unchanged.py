"""Whether a file that is read in parts is still the one that was opened."""

from __future__ import annotations

import os

from ..errors import InputError


class Unchanged:
    """The state of a file, by path, or by descriptor where it is held open. ``check`` compares."""

    def __init__(self, path: str, descriptor: int | None = None):
        self.path, self._file = path, path if descriptor is None else descriptor
        self._mark = self._now()

    def _now(self) -> tuple[int, ...]:
        found = os.stat(self._file)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def check(self) -> None:
        """Raise InputError when the file has changed since this was made."""
        try:
            same = self._now() == self._mark
        except OSError:
            same = False
        if not same:
            raise InputError("changed while it was being read", where=self.path, hint="run again when it rests")
