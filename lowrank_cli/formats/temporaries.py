"""Temporary files and folders beside an output: their names, who uses them, and how they go away whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Callable

#: Bytes of a file name kept for what is put around the target's own name: ".", ".lowrank-", pid, "-", 8 digits, ".tmp".
_ROOM = 40

#: Temporary files of this process that exist or are about to. No lock: a watchdog thread reads it while the main
#: thread may be stopped anywhere; adding, removing and copying a set are single steps of the interpreter.
_pending: set[Temporary] = set()


class Temporary:
    """A temporary file or folder for one target, known to ``pending`` from before it exists until it is gone."""

    def __init__(self, folder_fd: int, folder: str, target: str):
        self.folder_fd = folder_fd
        self.folder = folder
        self.owner = os.getpid()
        self._stem = _stem(folder_fd, target)
        self.name = ""

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)

    def create(self, mode: int) -> int:
        """Create the file, empty and locked, less the umask; its descriptor. Removes what dead runs left behind."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return self._claim(lambda name: os.open(name, flags, mode, dir_fd=self.folder_fd))

    def create_folder(self) -> int:
        """The same for a folder, in which there may be files but no folders."""
        return self._claim(self._made_folder)

    def _made_folder(self, name: str) -> int:
        os.mkdir(name, dir_fd=self.folder_fd)
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder_fd)

    def _claim(self, make: Callable[[str], int]) -> int:
        sweep(self.folder_fd, self._stem)
        while True:
            self.name = f".{self._stem}.lowrank-{self.owner}-{os.urandom(4).hex()}.tmp"
            _pending.add(self)
            try:
                fd = make(self.name)
                break
            except FileExistsError:
                # not ours to remove
                _pending.discard(self)
            except OSError:
                _pending.discard(self)
                raise
        # tells a sweep in another process, perhaps one that cannot see our pid, that somebody is at work
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def discard(self) -> None:
        """Remove it if it is still there. Forgotten only after it is gone, so a second signal cannot leak it."""
        if self in _pending:
            self.unlink()
            _pending.discard(self)

    def unlink(self) -> None:
        with contextlib.suppress(OSError):
            remove(self.name, self.folder_fd)


def remove(name: str, folder_fd: int) -> None:
    """Remove a file, or a folder and the files in it. Links are not followed."""
    try:
        os.unlink(name, dir_fd=folder_fd)
    except (IsADirectoryError, PermissionError):
        # what unlink says of a folder differs between systems
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
        try:
            for inner in os.listdir(fd):
                os.unlink(inner, dir_fd=fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=folder_fd)


def pending() -> list[str]:
    """Paths of this process's temporary files and folders."""
    return [temp.path for temp in _pending.copy() if temp.owner == os.getpid()]


def abort_pending() -> None:
    """Remove every temporary file and folder of this process: the last act of a process that is being ended.

    Safe from any thread at any moment. A write under way then fails at its rename, and its target keeps what it held.
    """
    for temp in _pending.copy():
        if temp.owner == os.getpid():
            temp.unlink()


def sweep(folder_fd: int, stem: str) -> None:
    """Remove the temporary files and folders that dead processes left for this target."""
    pattern = re.compile(re.escape(f".{stem}.lowrank-") + r"(\d{1,10})-[0-9a-f]{8}\.tmp")
    try:
        names = os.listdir(folder_fd)
    except OSError:
        return
    for name in names:
        match = pattern.fullmatch(name)
        if match and _is_abandoned(folder_fd, name, int(match[1])):
            with contextlib.suppress(OSError):
                remove(name, folder_fd)


def _is_abandoned(folder_fd: int, name: str, pid: int) -> bool:
    """Whether nobody writes this any more: its process is dead and nobody, in any container, holds its lock."""
    if pid == os.getpid():
        # in a container every run may have the same pid
        if any(temp.name == name for temp in _pending.copy()):
            return False
    elif _is_alive(pid):
        return False
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mode = os.fstat(fd).st_mode
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    except BlockingIOError:
        return False
    except OSError:
        # a file system without locks: the pid has to do
        return True
    finally:
        os.close(fd)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _stem(folder_fd: int, target: str) -> str:
    """The target's name, cut so that the temporary file's name fits the file system."""
    try:
        longest = os.fpathconf(folder_fd, "PC_NAME_MAX")
    except (OSError, ValueError):
        longest = 255
    name = os.fsencode(target)
    room = max(longest - _ROOM, 1)
    # a cut may fall inside a character; some file systems refuse half of one
    return target if len(name) <= room else name[:room].decode("utf-8", "ignore")
