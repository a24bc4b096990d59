"""Lines of an approximation that was given a second matrix: a factor of it, or the data that weigh its error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row
from .text import number, safe


def rows(facts: dict[str, Any], full: bool) -> Iterator[Row]:
    """What ``method_facts`` says of the methods given and weighted; nothing for others."""
    if facts.get("given") is not None:
        note = f"singular values above {number(facts['given_rule']['threshold'], full)} = rcond s_1"
        yield Row("given factor", f"{safe(facts['given'])}, rank {facts['given_rank']}", note)
    if facts.get("least_relative") is not None:
        yield Row("least error", number(facts["least_relative"], full), "relative, with the given factor and any rank")
    error = facts.get("weighted") or {}
    if error.get("relative") is not None:
        shown = number(error["relative"], full)
        yield Row("weighted error", shown, f"relative, on the data of --{safe(facts['weights'])}, measured")
        low = number(error["optimal_lower"], full)
        best = low if low == shown else f"at most {shown}, at least {low}"
        yield Row("best weighted", best, "Smallest weighted error of any matrix of this rank.")
