"""The man page lowrank(1), from the tables and parameters that --help shows. No clock is asked: the same code, the same
page."""

from __future__ import annotations

from collections.abc import Iterator

from lowrank_cli import __version__
from lowrank_cli.cli import TABLE
from lowrank_cli.cli.command import Command, Param
from lowrank_cli.errors import Exit

_CODES = {
    Exit.DONE: "Done.",
    Exit.FAILED: "A computation failed, or a bug.",
    Exit.USAGE: "The command line cannot be understood, or asks for what cannot be.",
    Exit.BOUND_MISSED: "A tolerance was missed; the output is written and says so.",
    Exit.INPUT: "An input cannot be read, or is no matrix.",
    Exit.OUTPUT: "An output cannot be written; what was there is untouched.",
    Exit.DEPENDENCY: "An optional package is missing; the message names it.",
    Exit.RESOURCES: "The work does not fit in memory.",
    Exit.MISMATCH: "Saved factors do not hold what they claim (verify).",
    Exit.CLUSTER: "A cluster failed.",
}


def page() -> str:
    """The whole page: what the command is, each verb with its options and examples, exit codes."""
    lines = [
        f'.TH LOWRANK 1 "" "lowrank {__version__}" "User Commands"',
        ".SH NAME",
        r"lowrank \- low-rank matrix approximation with certified errors",
        ".SH SYNOPSIS",
        r".B lowrank",
        ".I COMMAND",
        r"[\fIOPTIONS\fR] [\fIARGS\fR]",
        ".SH DESCRIPTION",
        _text(
            "Approximates a matrix in a file by one of low rank, says how large the error is and how it knows, and "
            "saves the factors. The report goes to standard output, everything else to standard error."
        ),
        ".SH COMMANDS",
    ]
    for name, entry in TABLE.items():
        lines += [".TP", f".B {_text(name)}", _text(entry.summary)]
    for name, entry in TABLE.items():
        lines += _section(name, entry.load())
    lines.append(".SH EXIT STATUS")
    for code in Exit:
        lines += [".TP", f".B {int(code)}", _text(_CODES[code])]
    lines += [".TP", ".B 128 + n", "Ended by signal n."]
    return "\n".join(lines) + "\n"


def _section(name: str, command: Command) -> Iterator[str]:
    params = command.params()
    arguments = " ".join(f"\\fI{_text(p.metavar or p.name.upper())}\\fR" for p in params if not p.flags)
    yield f".SH LOWRANK {_text(name).upper()}"
    yield f"\\fBlowrank {_text(name)}\\fR [\\fIOPTIONS\\fR] {arguments}".rstrip()
    yield ".PP"
    yield _text(command.help)
    panels: dict[str, list[Param]] = {}
    for param in params:
        panels.setdefault(param.panel if param.flags else "Arguments", []).append(param)
    for panel, those in panels.items():
        yield f".SS {_text(panel)}"
        for param in those:
            yield from (".TP", _tag(param), _text(param.help if isinstance(param.help, str) else param.help()))
    if command.epilog:
        yield from _epilog(command.epilog)


def _tag(param: Param) -> str:
    if not param.flags:
        return f".I {_text(param.metavar or param.name.upper())}"
    flags = ", ".join(f"\\fB{_text(name)}\\fR" for name in sorted(param.flags, key=len))
    metavar = "" if param.kind in ("switch", "count") else f" \\fI{_text(param.metavar or 'TEXT')}\\fR"
    return flags + metavar


def _epilog(text: str) -> Iterator[str]:
    """Examples as they are typed; sentences after them as a paragraph."""
    for block in text.split("\n\n"):
        first, *rest = block.splitlines()
        if first in ("Example:", "Examples:"):
            yield from (".SS Examples", ".nf", *(_text(line.strip()) for line in rest), ".fi")
        else:
            yield from (".PP", *(_text(line) for line in block.splitlines()))


def _text(words: str) -> str:
    """Words that troff takes for nothing else."""
    made = " ".join(words.split()).replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    made = made.replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{made}" if made.startswith((".", "'")) else made
