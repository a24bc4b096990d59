"""The lines that say what an interpolative decomposition chose, and how well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row
from .text import number, safe

_WORDS = {"cols": "columns", "rows": "rows"}
#: Letters of a name that a line shows.
_SHOWN = 40


def lines(facts: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of ``method_facts``; none for a method that chooses nothing."""
    for axis, chosen in (facts.get("chosen") or {}).items():
        names, shares = facts.get(f"{axis}_names"), (facts.get("stability") or {}).get(axis)
        count, first = chosen["count"], chosen["first"]
        more = ", ..." if count > len(first) else ""
        note = f"{count} in order of choice, counted from 0."
        yield Row(f"chosen {_WORDS[axis]}", ", ".join(str(i) for i in first) + more, note)
        if names:
            yield Row("their names", "", ", ".join(_short(name) for name in names[: len(first)]) + more)
        if shares:
            told = ", ".join(number(share, full) for share in shares[: len(first)])
            note = f"Share of the seeds that choose each, at least {number(min(shares), full)}."
            yield Row(f"stability {_WORDS[axis]}", told + more, note)
    if facts.get("max_abs_Z") is not None:
        yield Row("largest |Z|", number(facts["max_abs_Z"], full), "Largest interpolation coefficient.")
    if facts.get("bound_ratio") is not None:
        measured = facts.get("measured_ratio")
        value = "not measured" if measured is None else number(measured, full)
        proven = number(facts["bound_ratio"], full)
        yield Row("error ratio", value, f"Over the error of as many singular vectors; proven at most {proven}.")
    if facts.get("exchanges") is not None:
        yield Row("exchanges", str(facts["exchanges"]), "Choices that were exchanged for better ones.")


def _short(name: str) -> str:
    shown = safe(name)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
