"""Floor 5: facts first (plain versioned data), then faces. One file a face, one line in this table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..plugins import Table
from ..registry import Entry, find

#: name of a face -> render(reports, style) -> text that ends in a newline.
OURS: dict[str, Entry] = {
    "table": Entry("lowrank_cli.reports.table:render", "for people"),
    "json": Entry("lowrank_cli.reports.json:render", "one object per input; several inputs, one object a line"),
    "jsonl": Entry("lowrank_cli.reports.json:render_lines", "one object a line"),
    "tsv": Entry("lowrank_cli.reports.tsv:render", "a header line, then one line per input"),
    "csv": Entry("lowrank_cli.reports.csv:render", "the same, comma-separated"),
    "html": Entry("lowrank_cli.reports.html:render", "one page that needs nothing else, with its picture"),
    "md": Entry("lowrank_cli.reports.markdown:render", "a Markdown table"),
}
#: these, and those of other packages.
TABLE = Table(OURS, "lowrank.faces", "", "report face")


@dataclasses.dataclass(frozen=True)
class Style:
    """How a face may look. width is None when nobody looks: then nothing is shortened. full: numbers that read back to
    the same value. ascii: the stream cannot carry more."""

    width: int | None = None
    colour: bool = False
    full: bool = True
    ascii: bool = False


def render(face: str, reports: Sequence[dict[str, Any]], style: Style) -> str:
    """The reports as text. Raises UsageError for an unknown face."""
    return find(TABLE, face, "report face")(reports, style)
