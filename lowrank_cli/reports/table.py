"""Reports as tables for people. Numbers are never cut: sentences wrap, values keep their line."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Sequence
from typing import Any

from . import Style
from .rows import Row, rows, title

#: Width that sentences are wrapped to when nobody says how wide the reader's window is.
WIDTH = 80
#: A window narrower than this would leave no room for words; the table is then as wide as this.
NARROWEST = 40
_TONES = {"warning": "bold yellow", "good": "green"}


def render(reports: Sequence[dict[str, Any]], style: Style) -> str:
    return "".join(_listing(r) if r["command"] == "list" else _one(r, style) for r in reports)


def _listing(report: dict[str, Any]) -> str:
    """A table of names: aligned, without a box, and without rich, which takes longer to load than all else."""
    lines = [[row.label, row.value, row.note] for row in rows(report, True)]
    widths = [max(len(line[i]) for line in lines) for i in (0, 1)]
    cells = [[line[0].ljust(widths[0]), *([line[1].ljust(widths[1])] if widths[1] else []), line[2]] for line in lines]
    return "".join("  ".join(line) + "\n" for line in cells)


def _one(report: dict[str, Any], style: Style) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [_plain(row) if style.ascii else row for row in rows(report, style.full)]
    width = max(style.width or WIDTH, NARROWEST)
    label = max([len(row.label) for row in lines], default=0)
    room = max(width - label - 7, 20)
    table = Table(
        box=box.ASCII if style.ascii else box.ROUNDED,
        title=Text(title(report)),
        title_justify="left",
        show_header=False,
        safe_box=False,
    )
    table.add_column(no_wrap=True, overflow="ignore")
    table.add_column(no_wrap=True, overflow="ignore")
    for row in lines:
        cell = Text("\n".join(_cell(row, room, style.width is not None)))
        table.add_row(Text(row.label, style="bold"), cell, style=_TONES.get(row.tone, ""))
    # as wide as the widest value: rich would cut what does not fit, and an encoding of ours decides about the box
    sink = io.StringIO()
    console = Console(
        file=sink,
        width=100_000,
        force_terminal=style.colour,
        color_system="standard" if style.colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(table)
    # rich pads a title to the width of the table
    text = "".join(f"{line.rstrip()}\n" for line in sink.getvalue().splitlines())
    return text.encode("ascii", "backslashreplace").decode() if style.ascii else text


def _plain(row: Row) -> Row:
    return row if row.ascii is None else dataclasses.replace(row, value=row.ascii)


def _cell(row: Row, room: int, watched: bool) -> list[str]:
    """The lines of a cell: value and note on one line when they fit, else below each other, the note wrapped."""
    if not row.note or len(row.value) + len(row.note) + 2 <= room:
        together = "  ".join(part for part in (row.value, row.note) if part)
        return _folded(together, room) if watched else [together]
    value = _folded(row.value, room) if watched else [row.value]
    notes = textwrap.wrap(row.note, room, break_long_words=watched, break_on_hyphens=False)
    return [line for line in (*value, *notes) if line]


def _folded(value: str, room: int) -> list[str]:
    """A long value at spaces, or anywhere when it has none: only for somebody who watches."""
    return textwrap.wrap(value, room, break_on_hyphens=False) or [value]
