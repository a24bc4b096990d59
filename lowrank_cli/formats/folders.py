"""Writing a folder of files so that its name holds either what it held before or all of the new content.

As for a file (``atomic``): a temporary folder beside the target, every file in it written and synced, then one rename.
A folder that is there already is replaced only if all that it holds was written as such a folder before; the two then
change places in one step where the system can do that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import OutputError, UsageError
from . import atomic, temporaries
from .npy_writer import size_of, views
from .os_errors import explained

#: Says of the names in a folder, and its path, whether they are those of a folder that may be replaced.
Ours = Callable[[str, list[str]], bool]

#: Of renameat2 of Linux: both names exist, and change places.
_EXCHANGE = 2


def is_folder(target: str) -> bool:
    """Whether an output is meant as a folder: its name ends in a slash."""
    return target.endswith("/") and target.strip("/") != ""


def check_target(target: str, inputs: Sequence[str], no_clobber: bool, ours: Ours) -> None:
    """Refuse, before any computing, a folder that could not be written or would destroy an input or other files.

    Raises UsageError when it is, or holds, one of the inputs; OutputError for everything else.
    """
    name = target.rstrip("/")
    found = _examine(target, no_clobber, ours)
    if found is not None:
        for source in inputs:
            if atomic.same_file(source, found) or atomic.same_file(os.path.dirname(source) or ".", found):
                raise UsageError("output and input are the same folder", where=target, hint="name another output")
    with atomic.beside(name) as place, explained(target):
        probe = temporaries.Temporary(place.folder_fd, place.folder, place.name)
        try:
            os.close(probe.create_folder())
        finally:
            probe.discard()


def commit(target: str, files: Mapping[str, list[Any]], ours: Ours, no_clobber: bool = False) -> None:
    """Make ``target`` a folder of exactly these files, each a list of chunks of bytes, or raise and leave it as it was.

    Raises OutputError when it cannot be written.
    """
    with building(target, ours, no_clobber) as folder:
        for name, chunks in files.items():
            path = os.path.join(folder, name)
            with explained(target):
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                atomic.fill(fd, views(chunks), size_of(chunks), target)
            finally:
                with contextlib.suppress(OSError):
                    os.close(fd)


@contextlib.contextmanager
def building(target: str, ours: Ours, no_clobber: bool = False) -> Iterator[str]:
    """The path of a temporary folder, which becomes ``target`` when the block ends well and is removed otherwise.

    The block writes and syncs the files of the folder; there may be no folders in it.
    """
    found = _examine(target, no_clobber, ours)
    with atomic.beside(target.rstrip("/")) as place:
        temp = temporaries.Temporary(place.folder_fd, place.folder, place.name)
        fd = None
        try:
            with explained(target):
                fd = temp.create_folder()
            yield temp.path
            with explained(target):
                if found is not None:
                    os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o777)
                atomic.sync_directory(fd)
                # whoever wrote into the folder while this ran would lose it
                if _examine(target, no_clobber, ours) is None:
                    os.rename(temp.name, place.name, src_dir_fd=place.folder_fd, dst_dir_fd=place.folder_fd)
                else:
                    _replace(temp.name, place)
        finally:
            temp.discard()
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)
        with explained(target, "was written, but its directory could not be synced"):
            atomic.sync_directory(place.folder_fd)


def _examine(target: str, no_clobber: bool, ours: Ours) -> os.stat_result | None:
    """The folder that is there, None when there is none. Raises OutputError for what may not be replaced."""
    if "\0" in target:
        raise OutputError("an output needs a file name", where=repr(target), hint="name a folder")
    name, found = target.rstrip("/"), None
    with explained(target), contextlib.suppress(FileNotFoundError):
        found = os.stat(name)
    if found is None:
        return None
    if not stat.S_ISDIR(found.st_mode):
        raise OutputError("exists and is no folder", where=name, hint="leave out the slash at the end to replace it")
    if no_clobber:
        raise atomic.exists(target)
    with explained(target):
        inside = os.listdir(name)
    if inside and not ours(name, inside):
        raise OutputError(
            "is a folder that holds other files, which would be lost", where=target, hint="name another folder"
        )
    return found


def _replace(temporary: str, place: atomic.Place) -> None:
    """Put the temporary folder in the place of the other, and remove that."""
    here = {"src_dir_fd": place.folder_fd, "dst_dir_fd": place.folder_fd}
    if _exchanged(temporary, place):
        _forget(temporary, place)
        return
    # under this name no later run takes the old folder for a leftover, should this one end between the two renames
    aside = temporary.removesuffix(".tmp") + ".old"
    os.rename(place.name, aside, **here)
    try:
        os.rename(temporary, place.name, **here)
    except BaseException:
        os.rename(aside, place.name, **here)
        raise
    _forget(aside, place)


def _forget(old: str, place: atomic.Place) -> None:
    """Remove what was replaced. The new folder has its name by now, so a failure is no failure to write."""
    with contextlib.suppress(OSError):
        temporaries.remove(old, place.folder_fd)


def _exchanged(temporary: str, place: atomic.Place) -> bool:
    """Whether the two names changed places; False where the system has no such call."""
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    fd = place.folder_fd
    if rename(fd, os.fsencode(temporary), fd, os.fsencode(place.name), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code))
