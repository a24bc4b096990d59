"""``--plot``: the picture of a report, checked before any work and written like every other output."""

from __future__ import annotations

import os
from typing import Any

from ..errors import UsageError
from ..reports.plot import FORMS
from . import shared
from .command import Param, Values
from .terminal import Terminal


def plot(what: str) -> Param:
    """The flag of a command whose picture shows ``what``."""
    words = f"Draw {what} ({', '.join(FORMS)}); - writes SVG to standard output."
    return Param("plot", words, ("--plot",), "FILE", "Output")


def check(values: Values, inputs: list[str], terminal: Terminal) -> None:
    """Find out before computing that the picture asked for cannot be drawn or written."""
    name, output = values.get("plot"), values.get("output")
    if name is None:
        return
    if shared.to_stdout(name):
        if output is not None and shared.to_stdout(output):
            raise UsageError("-o and --plot both write to standard output", hint="give one of them a file")
        terminal.data_descriptor()
        return
    from ..reports.plot import form

    form(name)
    shared.check_output(name, inputs, values, terminal)
    if output is not None and os.path.abspath(output) == os.path.abspath(name):
        raise UsageError("-o and --plot name the same file", where=name, hint="name another picture")


def draw(values: Values, report: dict[str, Any], terminal: Terminal) -> dict[str, Any]:
    """Write the picture, if one was asked for. Returns what the ``run`` block tells of it."""
    name = values.get("plot")
    if name is None:
        return {}
    from ..formats import atomic
    from ..reports import plot as pictures

    drawn = pictures.figure(report)
    if drawn is None:
        raise AssertionError("a command with --plot has a picture")
    if shared.to_stdout(name):
        atomic.write_all(terminal.data_descriptor(), [pictures.picture(drawn)], "standard output")
        return {"plot": name}
    data = pictures.picture(drawn, pictures.form(name))
    atomic.commit(name, [data], len(data), no_clobber=bool(values.get("no_clobber")))
    return {"plot": name, "plot_bytes": len(data)}


def on_stdout(values: Values) -> bool:
    """Whether the picture goes to standard output, and the report has to give way."""
    return shared.to_stdout(values.get("plot"))
