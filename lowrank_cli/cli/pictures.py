"""``--plot``: the picture of a report, checked before any work and written like every other output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from ..reports.plot import FORMS
from . import inputs, shared
from .command import Param, Values
from .inputs import Input
from .terminal import Terminal


def plot(what: str, *, many: bool = False) -> Param:
    """The flag of a command whose picture shows ``what``; many: it takes several inputs."""
    words = f"Draw {what} ({', '.join(FORMS)}); - writes SVG to standard output."
    return Param("plot", f"{words} {inputs.NAMING}" if many else words, ("--plot",), "FILE", "Output")


def place(given: Sequence[Input], others: Sequence[str], values: Values, terminal: Terminal) -> list[Input]:
    """The inputs with the names of their pictures, when asked for; others: paths of files that are read too.

    Finds out before computing that a picture cannot be drawn or written.
    """
    name = values.get("plot")
    if name is not None and not shared.to_stdout(name):
        from ..reports.plot import form

        form(name)
    placed = inputs.with_outputs(given, name, others, values, terminal, text=True, field="plot")
    for one in placed:
        if shared.to_stdout(one.plot) and shared.to_stdout(one.output):
            raise UsageError("-o and --plot both write to standard output", hint="give one of them a file")
        if one.plot and one.output and os.path.abspath(one.plot) == os.path.abspath(one.output):
            raise UsageError("-o and --plot name the same file", where=one.plot, hint="name another picture")
    return placed


def draw(name: str | None, report: dict[str, Any], values: Values, terminal: Terminal) -> dict[str, Any]:
    """Write the picture, if it has a name. Returns what the ``run`` block tells of it."""
    if name is None:
        return {}
    from ..formats import atomic
    from ..reports import plot as pictures

    drawn = pictures.figure(report)
    assert drawn is not None, "a command with --plot has a picture"
    if shared.to_stdout(name):
        atomic.write_all(terminal.data_descriptor(), [pictures.picture(drawn)], "standard output")
        return {"plot": name}
    data = pictures.picture(drawn, pictures.form(name))
    atomic.commit(name, [data], len(data), no_clobber=bool(values.get("no_clobber")))
    return {"plot": name, "plot_bytes": len(data)}
