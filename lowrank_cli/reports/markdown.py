"""Reports as Markdown tables, with full numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from . import Style
from .rows import rows, title

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def render(reports: Sequence[dict[str, Any]], style: Style) -> str:
    return "\n".join(_one(report) for report in reports)


def _one(report: dict[str, Any]) -> str:
    lines = [f"**{_plain(title(report))}**", "", "| | | |", "|---|---|---|"]
    for row in rows(report, True):
        lines.append(f"| {_plain(row.label)} | {_plain(row.value)} | {_plain(row.note)} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    return _SPECIAL.sub(r"\\\1", text)
