"""Lazy tables: a name, where the thing lives, and one sentence. Listing a table imports nothing."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from .errors import UsageError


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a table: target is ``"module:ATTRIBUTE"``."""

    target: str
    summary: str

    def load(self) -> Any:
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


def find(table: Mapping[str, Entry], name: str, what: str) -> Any:
    """Load the entry called ``name``, or raise UsageError naming what exists and what was probably meant."""
    if isinstance(name, str) and name in table:
        return table[name].load()
    if not isinstance(name, str):
        raise UsageError(f"the {what} must be a name, not {name!r}", hint=f"choose one of {', '.join(table)}")
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(table)}"
    raise UsageError(f"unknown {what} {name!r}", hint=hint)
