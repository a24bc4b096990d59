"""Errors of the operating system, said in terms of the output that failed."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from ..errors import LowrankError, OutputError

_ELSEWHERE = "free some space, or write to another place"
_REASONS = {
    errno.ENOSPC: ("no space left on the device", _ELSEWHERE),
    errno.EDQUOT: ("the disk quota is exceeded", _ELSEWHERE),
    errno.EFBIG: ("the file would exceed the largest size allowed", "raise the limit (ulimit -f), or write elsewhere"),
    errno.EROFS: ("the file system is read-only", "write to another place"),
    errno.EACCES: ("permission denied", "write to a directory you may create files in"),
    errno.EPERM: ("operation not permitted", "write to a directory you may create files in"),
    errno.ENOENT: ("its directory does not exist", "create the directory first"),
    errno.ENOTDIR: ("a part of its path is not a directory", "correct the path"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("the symbolic links of its path form a loop", "correct the links"),
    errno.EIO: ("the device reports an input/output error", "check the disk, or write to another place"),
}


@contextlib.contextmanager
def explained(target: str, failure: str = "cannot be written", size: int | None = None) -> Iterator[None]:
    """Turn an error of the operating system into an OutputError that says what it means here."""
    try:
        yield
    except (LowrankError, BrokenPipeError):
        raise
    except OSError as err:
        reason, hint = _REASONS.get(err.errno or 0, (err.strerror or str(err), "write to another place"))
        needed = "" if size is None else f" ({size:,} bytes are needed)"
        raise OutputError(f"{failure}: {reason}{needed}", where=target, hint=hint) from err
