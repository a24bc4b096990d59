"""The errors a user can meet. Each class carries its exit code; nothing here knows a terminal."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit codes of the command; other programs rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    BOUND_MISSED = 3
    INPUT = 4
    OUTPUT = 5
    DEPENDENCY = 6
    RESOURCES = 7
    MISMATCH = 8
    CLUSTER = 9


class LowrankError(Exception):
    """Something went wrong in a way we can name: what, where, and what to do about it."""

    exit_code = Exit.FAILED

    def __init__(self, what: str, *, where: object = None, hint: str | None = None):
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(self.line())

    def at(self, where: object) -> LowrankError:
        """This error, of that place if it has none yet."""
        if self.where is None and where is not None:
            self.where = str(where)
            self.args = (self.line(),)
        return self

    def line(self) -> str:
        """The message as one line: ``WHERE: what; hint``."""
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        return text if self.hint is None else f"{text}; {self.hint}"


class NumericalError(LowrankError):
    """A computation failed: a library returned no answer, or one that fails its own check."""

    exit_code = Exit.FAILED


class UsageError(LowrankError, ValueError):
    """A parameter is out of its range, or parameters contradict each other or the matrix."""

    exit_code = Exit.USAGE


class InputError(LowrankError, ValueError):
    """An input cannot be read, or is not a matrix we accept."""

    exit_code = Exit.INPUT


class DamagedError(InputError):
    """A file of ours is not whole any more: what it holds is not what was written."""


class OutputError(LowrankError, OSError):
    """An output cannot be written; whatever was there before is untouched."""

    exit_code = Exit.OUTPUT


class DependencyError(LowrankError, ImportError):
    """An optional package is missing; the message names the extra that brings it."""

    exit_code = Exit.DEPENDENCY


class ResourceError(LowrankError, MemoryError):
    """The work does not fit the memory or time allowance; refused before it starts."""

    exit_code = Exit.RESOURCES


class ClusterError(LowrankError, ConnectionError):
    """The workers cannot be reached, are not fit for the work, or were lost."""

    exit_code = Exit.CLUSTER
