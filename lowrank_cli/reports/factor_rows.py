"""The lines that only some structures have: shapes of Kronecker factors, sweeps taken, what codes do to rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row
from .text import number, shape


def rows(facts: dict[str, Any], full: bool) -> Iterator[Row]:
    """Of the ``method_facts`` of a report."""
    if facts.get("factor_shapes") is not None:
        yield Row("factor shapes", _cut(facts["factor_shapes"]), _searched(facts.get("search")))
    if facts.get("diagonal_relative") is not None:
        yield Row("diagonal alone", number(facts["diagonal_relative"], full), "Relative error of diag(A).")
    if facts.get("iterations") is not None and facts.get("settled") is not None:
        word = "settled" if facts["settled"] else "not settled"
        yield Row("iterations", str(facts["iterations"]), word)
    if facts.get("rotation_mean_angle") is not None:
        mean, most = (number(facts[f"rotation_{name}_angle"], full) for name in ("mean", "max"))
        yield Row("rotation", mean, f"radians from a row to its code on average, {most} at most")


def _cut(shapes: dict[str, Any]) -> str:
    return f"B {shape(shapes['B'])}, C {shape(shapes['C'])}"


def _searched(search: dict[str, Any] | None) -> str:
    if search is None:
        return ""
    second = f"; next best {_cut(search['runner_up'])}" if "runner_up" in search else ""
    return f"best of {search['tried']} tried, {search['possible']} possible{second}"
