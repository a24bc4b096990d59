"""A run that can be taken up again: what each pass over a matrix came to is kept, and not worked out a second time.

All that a method learns of a matrix it learns from passes, and the rest follows from them bit for bit. So the passes
are what is kept: each under a key made of the work, the matrix, what is asked and the bits of the operands. A run that
is started again asks for the same passes in the same order and finds them there, up to the one that was under way,
which goes on from the last state that was saved.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError, OutputError, UsageError
from ..lazy import np
from ..matrices.tall import Tall
from ..matrices.watch import Watch
from .checkpoint_folder import SCHEMA, Folder
from .checkpoint_records import Unreadable, value

if TYPE_CHECKING:
    import numpy

    from ..matrices.protocols import Matrix
    from .loaded import Loaded

T = TypeVar("T")
#: Seconds between two states of a pass, and how many times as long as saving one takes they are at least.
EVERY, _SHARE = 60.0, 20


class Checkpoint:
    """A folder that keeps the passes of one run. Used as a context; ``finish`` inside it when the work is done.

    every: seconds after which a pass under way is saved again; 0: after each of its steps. tell, warn: take a sentence.
    held: a context in which a signal waits, so that what is saved is whole. Raises, when it is entered, what ``Folder``
    raises.
    """

    def __init__(
        self,
        path: str,
        every: float = EVERY,
        tell: Callable[[str], None] = lambda text: None,
        warn: Callable[[str], None] = lambda text: None,
        held: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    ):
        self.path, self.every, self.tell, self.warn, self.held = path, every, tell, warn, held
        self._work = ""
        self._found = 0
        self._told = self._failed = False
        self._wait = every

    def __enter__(self) -> Checkpoint:
        self.folder = Folder(self.path)
        self._saved = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self.folder.empty and not self.folder.damaged:
            # refused, or ended by an error, before anything was worth keeping
            self.folder.remove()
        self.folder.close()

    def finish(self) -> None:
        """Remove it: the work is done, and its result is where it belongs."""
        self.folder.remove()

    def over(self, name: str, loaded: Loaded) -> Loaded:
        """The input of that name, its passes kept."""
        return dataclasses.replace(loaded, watch=_Recorder(self, name, loaded.watch))

    def begin(self, work: dict[str, Any], inputs: Mapping[str, dict[str, Any]], checked: Callable[[], None]) -> None:
        """Take up the work that is kept, or begin to keep this one.

        work: what decides every bit beside the inputs. inputs: what each is, and under "file" when its file changed
        last. ``checked`` is called where only that differs; it compares the inputs with ``known`` and raises InputError
        where they differ. Raises InputError or UsageError, which list the differences, when other work is kept.
        """
        about = {"work": work, "inputs": dict(inputs)}
        same = {"work": work, "inputs": {name: _without_file(one) for name, one in inputs.items()}}
        self._work = json.dumps(same, sort_keys=True)
        kept = self.folder.about
        if kept is None or self.folder.empty:
            if self.folder.damaged:
                self.warn(f"{self.path}: the checkpoint is damaged; the run starts from the beginning")
            self.folder.begin(about)
            return
        before = {name: kept.get(name, {}) for name in ("work", "inputs")}
        others = _differences(before["work"], work)
        values = _differences(*({n: _without_file(i) for n, i in one.items()} for one in (before["inputs"], inputs)))
        if others or values:
            raise (InputError if values else UsageError)(
                f"the checkpoint is of another run: {', '.join(others + values)}",
                where=self.path,
                hint="give what it was begun with, or remove the directory to start over",
            )
        if before["inputs"] != about["inputs"]:
            try:
                checked()
            except InputError as error:
                raise InputError(
                    f"the checkpoint is of another matrix: {error.where or 'the input'} has other values now",
                    where=self.path,
                    hint="bring back the file it was begun with, or remove the directory to start over",
                ) from error

    def known(self) -> dict[str, numpy.ndarray]:
        """The checksums of tiles that are kept, by the name of the input; see ``matrices.slabs.Source``."""
        found: dict[str, numpy.ndarray] = {}
        for record in self.folder.last():
            with contextlib.suppress(Unreadable):
                for name, sums in value(record)["sums"].items():
                    found[name] = np.maximum(sums, found.get(name, sums))
        return found

    def key(self, *parts: Any) -> str:
        """One name for the work and what is asked in it: arrays are hashed, the rest is as it prints."""
        state = hashlib.sha256(self._work.encode())
        for part in parts:
            if isinstance(part, (np.ndarray, Tall)):
                state.update(f"|{part.dtype.str}{part.shape}".encode())
                for rows in part.spans() if isinstance(part, Tall) else [...]:
                    state.update(np.ascontiguousarray(part[rows]).reshape(-1).view(np.uint8).data)
            else:
                state.update(f"|{part!r}".encode())
        return state.hexdigest()

    def finished(self, key: str, what: dict[str, Any]) -> bool:
        """Fill in what the pass came to, if it is kept."""
        record = self.folder.find(key)
        if record is None:
            return False
        try:
            value(record, what)
        except Unreadable:
            self.warn(f"{self.path}: a pass of the checkpoint is damaged; it is done again")
            self.folder.forget(key)
            return False
        self._found += 1
        return True

    def unfinished(self, key: str, what: dict[str, Any], positions: Sequence[str]) -> int:
        """Fill in what the first steps of the pass came to, and say how many they are."""
        for position, record in self.folder.state(key):
            if position in positions:
                try:
                    value(record, what)
                    return positions.index(position) + 1
                except Unreadable:
                    self.warn(f"{self.path}: the last state of the checkpoint is damaged; an older one is used")
        return 0

    def resumed(self, number: int, share: float) -> None:
        """The pass of that number is the first that is worked on."""
        if not self._told and (self._found or share):
            self.tell(f"resumed at pass {number}" + (f", {share:.0%} of it done" if share else ""))
        self._told = True

    def keep(self, key: str, what: dict[str, Any], position: str | None = None) -> None:
        """Keep a pass that is finished, or where one stands. A full disk ends no run; what was kept stays."""
        started = time.monotonic()
        try:
            if position is None:
                self.folder.append(key, what)
            else:
                self.folder.save(key, position, what)
        except OutputError as error:
            if not self._failed:
                self.warn(f"{error.line()}; the run goes on")
            self._failed = True
        self._saved = time.monotonic()
        self._wait = max(self.every, _SHARE * (self._saved - started)) if self.every else 0.0

    def due(self) -> bool:
        """Whether a pass under way is to be saved."""
        return time.monotonic() - self._saved >= self._wait


class _Recorder(Watch):
    """Keeps the passes over one input, and tells another watch of those that are made."""

    keeps = True

    def __init__(self, kept: Checkpoint, name: str, watch: Watch):
        self._kept, self._name, self._watch = kept, name, watch
        self._number, self._begun = 0, False
        self._visits: dict[str, int] = {}
        self._identities: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def expects(self, needed: dict[str, int], passes: int | None) -> None:
        self._watch.expects(needed, passes)

    def begins(self, number: int) -> None:
        self._number, self._begun = number, False

    def reads(self, size: int) -> None:
        if not self._begun:
            self._begun = True
            self._watch.begins(self._number)
        self._watch.reads(size)

    def came(self, size: int) -> None:
        self._watch.came(size)

    def ends(self) -> None:
        if self._begun:
            self._watch.ends()

    def steps(
        self,
        matrix: Matrix,
        what: str,
        operands: Sequence[Any],
        state: dict[str, Any],
        plan: Sequence[Any],
        start: Callable[[int], Iterator[T]],
    ) -> Iterator[T]:
        kept, key, sums = self._kept, self._key(matrix, what, operands), getattr(matrix, "sums", None)
        found: dict[str, Any] = {"state": state, "sums": {}}
        if kept.finished(key, found):
            self._compare(matrix, sums, found)
            return
        positions = [repr(end) for end in plan]
        done = kept.unfinished(key, found, positions)
        self._compare(matrix, sums, found)
        kept.resumed(self._number, done / len(plan))
        now = {"state": state, "sums": {} if sums is None else {self._name: sums}}
        saved, whole = done, False
        try:
            for step in start(done):
                with kept.held():
                    whole = False
                    yield step
                    done, whole = done + 1, True
                if done < len(plan) and kept.due():
                    saved = done
                    kept.keep(key, now, positions[done - 1])
        except BaseException as stop:
            # asked to stop, between two steps: what is done is not lost
            if whole and saved < done < len(plan) and not isinstance(stop, Exception):
                kept.keep(key, now, positions[done - 1])
            raise
        kept.keep(key, now)

    def result(self, matrix: Matrix, what: str, operands: Sequence[Any], make: Callable[[], T]) -> T:
        kept, key, sums = self._kept, self._key(matrix, what, operands), getattr(matrix, "sums", None)
        found: dict[str, Any] = {"state": None, "sums": {}}
        if kept.finished(key, found):
            self._compare(matrix, sums, found)
            return found["state"]  # type: ignore[no-any-return]
        kept.resumed(self._number, 0)
        made = make()
        kept.keep(key, {"state": made, "sums": {} if sums is None else {self._name: sums}})
        return made

    def _key(self, matrix: Matrix, what: str, operands: Sequence[Any]) -> str:
        identity = self._identities.get(matrix)
        if identity is None:
            identity = self._identities[matrix] = self._kept.key(self._name, *matrix.identity())
        named: list[Any] = []
        for operand in operands:
            if callable(operand):
                # what a visitor closes over shows in no bits; but the n-th visit is the n-th in every run
                number = self._visits[identity] = self._visits.get(identity, 0) + 1
                named.append(f"{operand.__qualname__} {number}")
            else:
                named.append(operand)
        return self._kept.key(identity, what, *named)

    def _compare(self, matrix: Matrix, sums: Any, found: dict[str, Any]) -> None:
        """Tiles are compared from now on with those that were seen when this was recorded."""
        before = found["sums"].get(self._name)
        if sums is None or before is None:
            return
        if before.shape != sums.shape or np.any((sums != before) & (sums >= 0) & (before >= 0)):
            raise InputError("is not what it was in an earlier pass", where=getattr(matrix, "name", None))
        np.maximum(sums, before, out=sums)


def _without_file(about: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in about.items() if name != "file"}


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    """One sentence for each place where two descriptions differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [*before, *(key for key in now if key not in before)]
        parts = (_differences(before.get(key), now.get(key), f"{name}.{key}" if name else key) for key in names)
        return [one for part in parts for one in part]
    return [] if before == now else [f"{name} was {json.dumps(before)}, is {json.dumps(now)}"]


__all__ = ["EVERY", "SCHEMA", "Checkpoint"]
