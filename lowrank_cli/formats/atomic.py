"""Writing a file so that its name holds either what it held before or all of the new content, never anything else.

The protocol: a temporary file beside the target, its space reserved, written, synced, its size checked; then one
rename (or one hard link, when nothing may be replaced), and the directory synced. Whatever goes wrong before the
rename, a signal's exception included, removes the temporary file and leaves the target as it was. After a kill that
nobody can catch the temporary file stays behind; the next run for the same target removes it.

Pipes, devices and open descriptors cannot be replaced by a rename and are written where they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import select
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..errors import OutputError, UsageError
from . import temporaries
from .os_errors import explained
from .temporaries import abort_pending, pending

__all__ = ["abort_pending", "check_target", "commit", "is_stream", "pending", "write_all"]

#: Bytes handed to one write call, so that a signal is answered between two of them.
SLICE = 64 << 20

_DESCRIPTOR = re.compile(r"/(?:dev/(?:(std(?:out|err|in))|fd/(\d+))|proc/(?:self|thread-self)/fd/(\d+))")
_STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}


def check_target(target: str, inputs: Sequence[str], no_clobber: bool) -> None:
    """Refuse, before any computing, an output that could not be written or would destroy an input.

    inputs are paths of files that are read; those that do not exist as files (``-``) are passed over. A file is
    created beside the target and removed again, so a full, read-only or forbidden directory is found now.
    Raises UsageError when the output is one of the inputs; OutputError for everything else.
    """
    found = _examine(target)
    if found is not None and not stat.S_ISCHR(found.st_mode):
        for source in inputs:
            if same_file(source, found):
                raise UsageError("output and input are the same file", where=target, hint="name another output")
    if _in_place(target, found):
        if _descriptor(target) is None and not os.access(target, os.W_OK):
            raise OutputError("cannot be written: permission denied", where=target, hint="name another output")
        return
    if found is not None and no_clobber:
        raise exists(target)
    with beside(target) as place, explained(target):
        probe = temporaries.Temporary(place.folder_fd, place.folder, place.name)
        try:
            os.close(probe.create(0o600))
        finally:
            probe.discard()


def commit(target: str, chunks: Iterable[Any], size: int, no_clobber: bool = False) -> None:
    """Make ``target`` a file of exactly these bytes, or raise and leave it as it was.

    chunks are bytes-like and add up to ``size`` bytes; they are consumed once. A symbolic link is written through. An
    existing file keeps its mode and owner; a new one gets 0666 less the umask. With no_clobber an existing file, even
    one that appears while this runs, is an OutputError. Exceptions raised by ``chunks`` pass through. Raises
    OutputError when the file cannot be written, BrokenPipeError when the target is a pipe nobody reads any more.
    """
    found = _examine(target)
    if _in_place(target, found):
        _write_in_place(target, chunks)
        return
    if found is not None and no_clobber:
        raise exists(target)
    with beside(target) as place:
        temp = temporaries.Temporary(place.folder_fd, place.folder, place.name)
        fd = None
        try:
            with explained(target):
                # closed to others until the mode of the file it replaces is known to hold
                fd = temp.create(0o666 if found is None else 0o600)
                if found is not None:
                    _adopt(fd, found)
            fill(fd, chunks, size, target)
            with explained(target):
                _publish(temp, place, target, no_clobber)
        finally:
            temp.discard()
            if fd is not None:
                # the lock on the temporary file is held until here; fsync has already told of any loss
                with contextlib.suppress(OSError):
                    os.close(fd)
        with explained(target, "was written, but its directory could not be synced"):
            sync_directory(place.folder_fd)


def is_stream(target: str) -> bool:
    """Whether the target is written where it is: a pipe, a device, or the name of an open descriptor."""
    if _descriptor(target) is not None:
        return True
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(target).st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def write_all(fd: int, chunks: Iterable[Any], where: str) -> int:
    """Write every byte of every chunk to a descriptor; the number of bytes.

    Short writes and descriptors that do not block are seen to. Raises BrokenPipeError when nobody reads any more,
    OutputError (about ``where``) for everything else.
    """
    total = 0
    for chunk in chunks:
        view = memoryview(chunk)
        if view.nbytes == 0:
            continue
        view = view.cast("B")
        while view.nbytes:
            with explained(where):
                done = _write_some(fd, view[:SLICE])
            total += done
            view = view[done:]
    return total


def _write_some(fd: int, view: memoryview) -> int:
    while True:
        try:
            done = os.write(fd, view)
        except BlockingIOError:
            select.select([], [fd], [])
            continue
        if done <= 0:
            raise OSError(errno.EIO, "nothing was written")
        return done


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a file goes: its directory, open and by name, and its name in there, links resolved."""

    folder_fd: int
    folder: str
    name: str


@contextlib.contextmanager
def beside(target: str) -> Iterator[Place]:
    # only a link at the end needs resolving: the full path may lead through directories we cannot search
    folder, name = os.path.split(os.path.realpath(target) if os.path.islink(target) else target)
    folder = folder or "."
    with explained(target):
        flags = os.O_DIRECTORY | os.O_CLOEXEC
        try:
            fd = os.open(folder, os.O_RDONLY | flags)
        except PermissionError:
            # a directory that may be written but not listed
            fd = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | flags)
    try:
        yield Place(fd, folder, name)
    finally:
        # nothing was written through it that its closing could lose
        with contextlib.suppress(OSError):
            os.close(fd)


def fill(fd: int, chunks: Iterable[Any], size: int, target: str) -> None:
    with explained(target, size=size):
        reserve(fd, size)
    written = write_all(fd, chunks, target)
    with explained(target):
        os.fsync(fd)
        on_disk = os.fstat(fd).st_size
    if written != size or on_disk != size:
        raise OutputError(
            f"cannot be written: {written} bytes were given and {on_disk} are on disk where {size} belong",
            where=target,
            hint="check the disk, or write to another place",
        )


def reserve(fd: int, size: int) -> None:
    """Take the whole space now, so that a full disk shows before anything is written."""
    if size > 0 and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as err:
            if err.errno not in (errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                raise


def _adopt(fd: int, found: os.stat_result) -> None:
    """Owner and mode of the file that will be replaced, as far as we may and the file system can."""
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (found.st_uid, found.st_gid):
        with contextlib.suppress(OSError):
            os.fchown(fd, found.st_uid, found.st_gid)
    with contextlib.suppress(PermissionError):
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o777)


def _publish(temp: temporaries.Temporary, place: Place, target: str, no_clobber: bool) -> None:
    here = {"src_dir_fd": place.folder_fd, "dst_dir_fd": place.folder_fd}
    if not no_clobber:
        os.rename(temp.name, place.name, **here)
        return
    try:
        os.link(temp.name, place.name, follow_symlinks=False, **here)
        return
    except FileExistsError:
        raise exists(target) from None
    except OSError as err:
        if err.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS):
            raise
    # no hard links here: an empty file made by us alone claims the name, then gives way
    try:
        os.close(os.open(place.name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=place.folder_fd))
    except FileExistsError:
        raise exists(target) from None
    try:
        os.rename(temp.name, place.name, **here)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(place.name, dir_fd=place.folder_fd)
        raise


def sync_directory(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as err:
        # EBADF: opened by path only, because it may not be listed
        if err.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF):
            raise


def _descriptor(target: str) -> int | None:
    """The descriptor a name like /dev/stdout or /dev/fd/3 stands for."""
    match = _DESCRIPTOR.fullmatch(target)
    if match is None:
        return None
    standard, *numbers = match.groups()
    return _STANDARD[standard] if standard else int(next(n for n in numbers if n))


def _in_place(target: str, found: os.stat_result | None) -> bool:
    return _descriptor(target) is not None or (found is not None and not stat.S_ISREG(found.st_mode))


def _write_in_place(target: str, chunks: Iterable[Any]) -> None:
    descriptor = _descriptor(target)
    with explained(target):
        fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC) if descriptor is None else os.dup(descriptor)
    try:
        write_all(fd, chunks, target)
    finally:
        os.close(fd)


def _examine(target: str) -> os.stat_result | None:
    """The file that is there, None when there is none. Raises OutputError for what can never be a target."""
    if not target or "\0" in target:
        raise OutputError("an output needs a file name", where=repr(target), hint="name a file")
    found = None
    with explained(target):
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(target)
    if target.endswith("/") or (found is not None and stat.S_ISDIR(found.st_mode)):
        raise OutputError("cannot be written: it is a directory", where=target, hint="name a file in it")
    if found is not None and (stat.S_ISBLK(found.st_mode) or stat.S_ISSOCK(found.st_mode)):
        raise OutputError("cannot be written: it is a disk or a socket", where=target, hint="name a file")
    if found is not None and stat.S_ISREG(found.st_mode) and _is_protected(target):
        raise OutputError(
            "cannot be written: the file is write-protected", where=target, hint="chmod u+w it, or name another output"
        )
    return found


def _is_protected(target: str) -> bool:
    """A file whose mode forbids writing. That of a read-only file system is told by the probe, which knows better."""
    if _descriptor(target) is not None or os.access(target, os.W_OK):
        return False
    with contextlib.suppress(OSError):
        return not os.statvfs(target).f_flag & os.ST_RDONLY
    return True


def same_file(source: str, found: os.stat_result) -> bool:
    try:
        other = os.stat(source)
    except (OSError, ValueError):
        return False
    return (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino)


def exists(target: str) -> OutputError:
    return OutputError("exists and is not replaced", where=target, hint="drop --no-clobber, or name another output")
