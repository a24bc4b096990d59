"""Reports as comma-separated lines under one header (RFC 4180, lines end in a newline): what tsv shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from . import Style
from .tsv import cells


def render(reports: Sequence[dict[str, Any]], style: Style) -> str:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(cells(reports))
    return sink.getvalue()
