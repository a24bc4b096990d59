"""Rows that other packages add to our tables, by entry points: looked for only when somebody asks for more than ours.

A row that does not work is left out, with one line that says why; it never stands in the way of another, nor of ours.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from .errors import DependencyError, LowrankError
from .registry import Entry

_problems: dict[str, None] = {}


def problems() -> list[str]:
    """What was wrong with rows of other packages, each said once."""
    said = list(_problems)
    _problems.clear()
    return said


def problem(line: str) -> None:
    """Remember that a row of another package was left out, and why."""
    _problems[line] = None


@dataclasses.dataclass(frozen=True)
class Plugin(Entry):
    """A row of another package. kind: what it must be an instance of, as ``"module:CLASS"``; "" for what is called."""

    label: str
    package: str
    kind: str

    def load(self) -> Any:
        """Raises DependencyError for whatever is wrong with it."""
        try:
            loaded = super().load()
        except (Exception, SystemExit) as error:
            raise self._broken(f"cannot be loaded, {type(error).__name__}: {error}") from error
        if not self.kind:
            if not callable(loaded):
                raise self._broken(f"is {type(loaded).__name__}, not a function")
            return self._guarded(loaded)
        module, _, name = self.kind.partition(":")
        if not isinstance(loaded, getattr(importlib.import_module(module), name)):
            raise self._broken(f"is {type(loaded).__name__}, not {name} of {module}")
        held = {field.name: getattr(loaded, field.name) for field in dataclasses.fields(loaded)}
        calls = {name: self._guarded(v) for name, v in held.items() if callable(v) and not isinstance(v, type)}
        return dataclasses.replace(loaded, **calls)

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose own mistakes are told as those of its package and not as ours."""

        @functools.wraps(call)
        def guarded(*args: Any, **more: Any) -> Any:
            try:
                return call(*args, **more)
            except (LowrankError, MemoryError, BrokenPipeError):
                raise
            except Exception as error:
                line = f"{self.label} failed, {type(error).__name__}: {error}"
                raise LowrankError(" ".join(line.split()), hint=f"report it to the package {self.package}") from error

        return guarded

    def _broken(self, what: str) -> DependencyError:
        line = " ".join(f"{self.label} of the package {self.package} {what}".split())
        return DependencyError(line, hint="repair or uninstall that package")


class Table(MutableMapping[str, Entry]):
    """Our rows, and behind them those of the entry points in ``group``, whose values are of a kind; what is one of
    them called. Whoever asks for one of ours by name never looks for the others."""

    def __init__(self, rows: dict[str, Entry], group: str, kind: str, what: str):
        self._rows, self._group, self._kind, self._what = dict(rows), group, kind, what
        self._found: dict[str, Entry] | None = None

    def added(self) -> dict[str, Entry]:
        """The rows of other packages."""
        if self._found is None:
            self._found = {}
            from importlib.metadata import entry_points

            points = entry_points(group=self._group)
            for point in sorted(points, key=lambda p: (p.name, _package(p))):
                owner = f"{self._what} {point.name!r} of the package {_package(point)}"
                if point.name in self._rows:
                    problem(f"{owner} is left out: lowrank has one of that name")
                elif point.name in self._found:
                    problem(f"{owner} is left out: another package has one of that name")
                else:
                    label, package = f"{self._what} {point.name!r}", _package(point)
                    row = Plugin(point.value, f"from the package {package}", label, package, self._kind)
                    self._found[point.name] = row
        return self._found

    def loaded(self, *, added: bool = False) -> Iterator[tuple[str, Any]]:
        """The names and their values, one after another, all or only those of other packages; a broken one of these is
        left out."""
        for name in self.added() if added else self:
            try:
                yield name, self[name].load()
            except DependencyError as error:
                if not isinstance(self[name], Plugin):
                    raise
                problem(error.line())

    def __getitem__(self, name: str) -> Entry:
        return self._rows[name] if name in self._rows else self.added()[name]

    def __setitem__(self, name: str, entry: Entry) -> None:
        self._rows[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __iter__(self) -> Iterator[str]:
        yield from tuple(self._rows)
        yield from self.added()

    def __len__(self) -> int:
        return len(self._rows) + len(self.added())


def _package(point: Any) -> str:
    return "unknown" if point.dist is None else f"{point.dist.name} {point.dist.version}"
