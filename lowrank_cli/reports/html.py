"""Reports as one HTML page that needs nothing else: styles and pictures inside, no script, light and dark ground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from . import Style
from .plot import figure
from .rows import Row, rows, title
from .svg import draw

_SHEET = """
  :root { color-scheme: light dark; --ground: #ffffff; --ink: #1f2328; --faint: #57606a; --line: #d0d7de;
    --good: #1a7f37; --warning: #9a6700 }
  @media (prefers-color-scheme: dark) {
    :root { --ground: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #30363d; --good: #3fb950; --warning: #d29922 }
  }
  body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--ground); color: var(--ink);
    font: 15px/1.45 system-ui, sans-serif }
  h1 { font-size: 1.15rem; margin: 2rem 0 .6rem; overflow-wrap: anywhere }
  .wide { overflow-x: auto }
  table { border-collapse: collapse; width: 100% }
  th, td { border-top: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: baseline }
  th { font-weight: 600; padding-right: 1.2rem; white-space: nowrap }
  .value { font-family: ui-monospace, monospace; font-size: .93em; white-space: pre-wrap }
  .aligned { white-space: pre }
  .remark { color: var(--faint) }
  .good .value { color: var(--good) }
  .warning .value, .warning .remark { color: var(--warning) }
  figure { margin: 1rem 0 }
  svg { max-width: 100%; height: auto }
"""


def render(reports: Sequence[dict[str, Any]], style: Style) -> str:
    name = escape(title(reports[0])) if len(reports) == 1 else f"lowrank, {len(reports)} reports"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title>\n<style>{_SHEET}</style>\n</head>\n<body>",
        *(line for report in reports for line in _section(report)),
        "</body>\n</html>\n",
    ]
    text = "\n".join(parts)
    return text.encode("ascii", "xmlcharrefreplace").decode() if style.ascii else text


def _section(report: dict[str, Any]) -> Iterator[str]:
    yield f'<h1>{escape(title(report))}</h1>\n<div class="wide">\n<table>'
    yield from map(_line, rows(report, False), rows(report, True))
    yield "</table>\n</div>"
    drawn = figure(report)
    if drawn is not None:
        yield f"<figure>\n{draw(drawn).rstrip()}\n</figure>"


def _line(row: Row, exact: Row) -> str:
    # columns of numbers stand under each other
    kind = "value aligned" if "  " in row.value else "value"
    wide = ' colspan="2"'
    tone = f' class="{row.tone}"' if row.tone else ""
    cells = f'<th scope="row">{escape(row.label)}</th>'
    if row.value or not row.note:
        cells += f'<td class="{kind}"{"" if row.note else wide}{_told(row.value, exact.value)}'
    if row.note:
        cells += f'<td class="remark"{"" if row.value else wide}{_told(row.note, exact.note)}'
    return f"<tr{tone}>{cells}</tr>"


def _told(words: str, exact: str) -> str:
    """The rest of a cell: short numbers, and behind them, where they differ, those that read back to the same value."""
    title = "" if words == exact else f' title="{escape(exact)}"'
    return f"{title}>{escape(words)}</td>"
