"""What ``lowrank doctor`` found, for people: one line a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row
from .text import safe

_TONES = {"ok": "", "warning": "warning", "broken": "warning"}


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of the report of ``doctor``."""
    for check in report["checks"]:
        mark = "" if check["state"] == "ok" else f"{check['state'].upper()}: "
        yield Row(safe(check["name"]), safe(check["value"]), mark + safe(check["note"]), _TONES[check["state"]])
    broken = sum(check["state"] == "broken" for check in report["checks"])
    if broken:
        yield Row("healthy", "NO", f"{broken} broken", "warning")
    else:
        yield Row("healthy", "yes", "", "good")
