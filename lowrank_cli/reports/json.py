"""Reports as JSON: ASCII only, no NaN, floats in the shortest form that reads back to the same value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from . import Style


def render(reports: Sequence[dict[str, Any]], style: Style) -> str:
    """One input: an indented object. Several: one object a line."""
    if len(reports) == 1:
        return json.dumps(reports[0], indent=2, allow_nan=False) + "\n"
    return render_lines(reports, style)


def render_lines(reports: Sequence[dict[str, Any]], style: Style) -> str:
    return "".join(json.dumps(report, allow_nan=False) + "\n" for report in reports)
