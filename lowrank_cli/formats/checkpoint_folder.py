"""The folder of a checkpoint: who may use it, whose work it keeps, the passes that are done and the one under way.

``about.json`` says whose work it is. ``passes`` holds a record for every pass that was finished, one after another.
``state.0`` and ``state.1`` hold the pass under way, written in turn, so that one is whole at any time. ``lock`` is held
by the run that uses the folder, and says whether a run made the folder and so is to remove it. All is written so that a
kill at any moment leaves what was there (``atomic``), or a tail of ``passes`` that is seen to be no record; the folder
itself comes and goes in one step.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from ..errors import InputError, LowrankError, OutputError, UsageError
from . import atomic, temporaries
from .checkpoint_records import Record, Unreadable, encode, records, value
from .os_errors import explained

SCHEMA, FAMILY = "lowrank.checkpoint/1", re.compile(r"lowrank\.checkpoint/[0-9]+")
_ABOUT, _PASSES, _STATES, _LOCK = "about.json", "passes", ("state.0", "state.1"), "lock"
_OURS = re.compile(r"about\.json|passes|lock|state\.[01]|\.(about\.json|state\.[01])\.lowrank-\d+-[0-9a-f]{8}\.tmp")
_LONGEST = 16 << 20
#: What the lock of a folder holds that a run made.
_MADE = b"made"


class Folder:
    """An open, locked folder. ``about`` is what it says of itself, None when it is new, or not whole.

    Raises UsageError for what is no checkpoint and not empty, OutputError when it cannot be written or another run uses
    it, InputError when a later version wrote it.
    """

    def __init__(self, path: str):
        self.path = path
        with explained(path):
            if not os.path.exists(path):
                _make(path)
            if not os.path.isdir(path):
                raise UsageError("is a file, not a directory", where=path, hint="name a new or an empty directory")
            names = os.listdir(path)
        strangers = sorted(name for name in names if not self._ours(name))
        if strangers:
            raise UsageError(
                f"is no checkpoint: it holds {strangers[0]!r}", where=path, hint="name a new or an empty directory"
            )
        self._lock = self._locked()
        self._log, self._end, self._generation, self.damaged = -1, 0, 0, False
        self._states: dict[str, Record] = {}
        self._done: dict[str, Record] = {}
        try:
            self.about = self._read_about()
            self._open_log()
            self._open_states()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others use it. What is in it stays."""
        for fd in (self._log, *{record.fd for record in self._states.values()}, self._lock):
            with contextlib.suppress(OSError):
                os.close(fd)

    def begin(self, about: dict[str, Any]) -> None:
        """Throw away what is there, and keep the passes of this work from now on."""
        self._drop_states()
        self._done.clear()
        with explained(self.path):
            os.ftruncate(self._log, 0)
        self._end = 0
        self.about = {"schema": SCHEMA, **about}
        text = _canonical({**self.about, "digest": _digest(self.about)})
        self._commit(_ABOUT, iter([text]), len(text))

    @property
    def empty(self) -> bool:
        """Whether no pass is kept, and no part of one."""
        return not self._done and not self._generation

    def find(self, key: str) -> Record | None:
        """The finished pass of that key."""
        return self._done.get(key)

    def forget(self, key: str) -> None:
        self._done.pop(key, None)

    def last(self) -> list[Record]:
        """The pass that was finished last, and the newest state of the one under way: what they know of the input is
        all that is known."""
        return [*list(self._done.values())[-1:], *list(self._states.values())[-1:]]

    def state(self, key: str) -> list[tuple[str, Record]]:
        """Where the pass of that key stood, and what it had come to by then; the newest first."""
        return [(name.split(" ", 2)[2], one) for name, one in reversed(self._states.items()) if key == name.split()[1]]

    def append(self, key: str, what: Any) -> None:
        """Keep a finished pass; what was kept of it before it was finished goes. Raises OutputError."""
        pieces, size = encode(key, what)
        try:
            with explained(self.path, "the checkpoint cannot be written", size=size):
                os.ftruncate(self._log, self._end)
                os.lseek(self._log, self._end, os.SEEK_SET)
                written = atomic.write_all(self._log, pieces, self.path)
                os.fsync(self._log)
            if written != size:
                raise OutputError("the checkpoint cannot be written", where=self.path)
        except OutputError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._log, self._end)
            raise
        self._end += size
        for record in records(self._log, self._end - size):
            self._done[key] = record
        self._drop_states()

    def save(self, key: str, position: str, what: Any) -> None:
        """Keep where a pass stands, in place of the older of the two that are kept. Raises OutputError."""
        generation = self._generation + 1
        self._commit(_STATES[generation % 2], *encode(f"{generation} {key} {position}", what))
        self._generation = generation

    def remove(self) -> None:
        """The work is done: nothing of the checkpoint stays, nor does the folder if a run made it."""
        with contextlib.suppress(OSError):
            names = os.listdir(self.path)
            if os.pread(self._lock, len(_MADE), 0) == _MADE and all(_OURS.fullmatch(name) for name in names):
                _take_away(self.path)
                return
            for name in sorted(names, key=lambda name: name == _LOCK):
                if _OURS.fullmatch(name):
                    os.unlink(os.path.join(self.path, name))

    def _ours(self, name: str) -> bool:
        """Whether we would have made a file of that name; a link is none, for it would be written through."""
        try:
            return bool(_OURS.fullmatch(name)) and stat.S_ISREG(os.lstat(os.path.join(self.path, name)).st_mode)
        except FileNotFoundError:
            return True

    def _locked(self) -> int:
        path = os.path.join(self.path, _LOCK)
        while True:
            with explained(self.path):
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # a run that just finished has taken its lock, and perhaps the folder, away
                if os.fstat(fd).st_nlink:
                    return fd
            except BlockingIOError:
                os.close(fd)
                hint = "wait for it, or name another directory"
                raise OutputError("another run uses this checkpoint", where=self.path, hint=hint) from None
            except OSError as error:
                os.close(fd)
                hint = "name a directory on another file system"
                what = f"cannot be locked ({error.strerror or error})"
                raise OutputError(what, where=self.path, hint=hint) from error
            os.close(fd)

    def _read_about(self) -> dict[str, Any] | None:
        try:
            with open(os.path.join(self.path, _ABOUT), "rb") as file:
                text = file.read(_LONGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", where=self.path) from error
        try:
            about = json.loads(text)
            digest = _digest({name: value for name, value in about.items() if name != "digest"})
        except (ValueError, RecursionError, AttributeError):
            about = digest = None
        schema = about.get("schema") if isinstance(about, dict) else None
        if isinstance(schema, str) and FAMILY.fullmatch(schema) and schema != SCHEMA:
            raise InputError(
                f"is a checkpoint of the layout {schema[:60]!r}, which this version cannot read",
                where=self.path,
                hint="finish the run with the version that began it, or remove the directory to start over",
            )
        if isinstance(about, dict) and about.pop("digest", None) == digest:
            return about
        self.damaged = True
        return None

    def _open_log(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with explained(self.path):
            self._log = os.open(os.path.join(self.path, _PASSES), flags, 0o666)
        for record in records(self._log):
            self._done[record.key] = record
            self._end = record.end

    def _open_states(self) -> None:
        found = []
        for name in _STATES:
            with contextlib.suppress(OSError):
                fd = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                record = next(records(fd), None)
                if record is not None and re.fullmatch(r"\d{1,18} \w+ .*", record.key):
                    found.append((int(record.key.split()[0]), record))
                else:
                    os.close(fd)
        for generation, record in sorted(found, key=lambda one: one[0]):
            self._states[record.key] = record
            self._generation = generation

    def _drop_states(self) -> None:
        for record in self._states.values():
            with contextlib.suppress(OSError):
                os.close(record.fd)
        self._states.clear()
        for name in _STATES:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.path, name))

    def _commit(self, name: str, pieces: Iterator[Any], size: int) -> None:
        try:
            atomic.commit(os.path.join(self.path, name), pieces, size)
        except LowrankError as error:
            what = error.what.replace("cannot be written", "the checkpoint cannot be written")
            raise OutputError(what, where=self.path, hint=error.hint) from error


def _make(path: str) -> None:
    """Make the folder with its lock in it, which says so, and sync its parent."""
    with atomic.beside(path.rstrip("/")) as place:
        temp = temporaries.Temporary(place.folder_fd, place.folder, place.name)
        fd = temp.create_folder()
        try:
            lock = os.open(_LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd)
            try:
                atomic.write_all(lock, [_MADE], path)
                os.fsync(lock)
            finally:
                os.close(lock)
            atomic.sync_directory(fd)
            os.rename(temp.name, place.name, src_dir_fd=place.folder_fd, dst_dir_fd=place.folder_fd)
        except OSError as error:
            # one that another run made meanwhile is as good
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        finally:
            temp.discard()
            os.close(fd)
        atomic.sync_directory(place.folder_fd)


def _take_away(path: str) -> None:
    """Remove the folder and all in it: it loses its name in one step, so that no half of it is ever found there."""
    with atomic.beside(path.rstrip("/")) as place:
        temp = temporaries.Temporary(place.folder_fd, place.folder, place.name)
        try:
            os.close(temp.create_folder())
            # an empty folder gives way to it
            os.rename(place.name, temp.name, src_dir_fd=place.folder_fd, dst_dir_fd=place.folder_fd)
        finally:
            temp.discard()


def _canonical(about: dict[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True, separators=(",", ":")).encode("ascii")


def _digest(about: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(about)).hexdigest()


__all__ = ["SCHEMA", "Folder", "Record", "Unreadable", "value"]
