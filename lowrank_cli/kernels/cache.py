"""Where compiled kernels are kept between runs: a private directory, or nowhere.

A cached kernel is a pickle, so whoever can write to the cache runs code as us. Hence a directory counts only if it
belongs to us, admits nobody else, and cannot be swapped by others through a directory above it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping


def cache_directory(environ: Mapping[str, str]) -> str | None:
    """The directory for compiled kernels, created if need be; None when no safe and writable one exists.

    In order: NUMBA_CACHE_DIR if it is private, ``lowrank/numba`` below XDG_CACHE_HOME, the same below ~/.cache.
    Never raises.
    """
    given = environ.get("NUMBA_CACHE_DIR")
    if given and os.path.isabs(given) and is_private(given):
        return given
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the XDG rules ignore a relative or empty value
        home = environ.get("HOME", "")
        # a missing home is never created: it is missing on purpose (service accounts) or by mistake
        if not os.path.isabs(home) or not os.path.isdir(home) or not _is_ours(home):
            return None
        base = os.path.join(home, ".cache")
    return _prepared(base)


def is_private(path: str) -> bool:
    """Whether the directory is ours and has room, is closed to all others, and not below one that others may change."""
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode) or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            return False
        if _has_owners() and (status.st_uid != os.geteuid() or status.st_mode & 0o077 or _above_is_open(path)):
            return False
        _take_room(path)
        return True
    except OSError:
        return False


def _take_room(path: str) -> None:
    """Make and remove what numba makes before it compiles anything: where it cannot, it keeps kernels elsewhere,
    unasked, or does not work at all."""
    import tempfile

    with tempfile.TemporaryDirectory(dir=path) as folder, tempfile.TemporaryFile(dir=folder):
        pass


def _prepared(base: str) -> str | None:
    """base/lowrank/numba with mode 0700, or None."""
    parent = os.path.join(base, "lowrank")
    path = os.path.join(parent, "numba")
    try:
        for folder in (base, parent, path):
            if not os.path.isdir(folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            if folder != base and not _is_ours(folder):
                return None
        mode = os.stat(path).st_mode
        # readable by others is harmless yet tightened; writable means that the contents are not ours to trust
        if _has_owners() and mode & 0o077 and not mode & 0o022:
            os.chmod(path, 0o700)
    except OSError:
        return None
    return path if is_private(path) else None


def _has_owners() -> bool:
    return hasattr(os, "geteuid")


def _is_ours(path: str) -> bool:
    try:
        return not _has_owners() or os.stat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _above_is_open(path: str) -> bool:
    """Whether someone else may rename a directory above: world-writable without the sticky bit."""
    folder = os.path.realpath(path)
    while True:
        above = os.path.dirname(folder)
        if above == folder:
            return False
        mode = os.stat(above).st_mode
        if mode & 0o002 and not mode & stat.S_ISVTX:
            return True
        folder = above
