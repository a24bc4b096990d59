"""Names of files with ``*``, ``?`` and ``[...]``: several files that are meant as one matrix."""

from __future__ import annotations

import glob
import os
import re

from ..errors import InputError

_MAGIC = re.compile(r"[*?[]")


def is_pattern(path: str) -> bool:
    """Whether a name stands for several files: a file of just that name wins."""
    return _MAGIC.search(path) is not None and not os.path.lexists(path)


def fitting(pattern: str) -> list[str]:
    """The files that fit, numbers in their names in order of size. InputError when there is none, and for ``**``."""
    if "**" in pattern:
        raise InputError("** is not read in names of files", where=pattern, hint="name each folder, or use * for one")
    found = sorted(glob.glob(pattern), key=_natural)
    if not found:
        raise InputError("no file fits this pattern", where=pattern, hint="* stands for any part of one name")
    return found


def split(path: str) -> tuple[str, str | None]:
    """``PATTERN:ITEM`` as (pattern, item): the longest pattern that some file fits; None when no item is named."""
    at = len(path)
    while at > 0 and is_pattern(path[:at]) and "**" not in path:
        if glob.glob(path[:at]):
            return path[:at], path[at + 1 :] or None
        at = path.rfind(":", 0, at)
    return path, None


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]
