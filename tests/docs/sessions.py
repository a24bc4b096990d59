"""Console sessions of a Markdown page: what they are, how they are run, and when an output is the one shown.

A session is a fenced block marked ``console``: lines that begin with ``$ `` are commands, the lines after one are what
it prints on a terminal of 80 columns, standard error included.
"""

from __future__ import annotations

import dataclasses
import fcntl
import math
import os
import re
import struct
import subprocess
import termios
from pathlib import Path

_MARK = "\x1e"
#: what a terminal shows no more once the line was written over: progress, on a machine slow enough to tell of it
_OVERWRITTEN = re.compile(rf"[^\n{_MARK}]*\r")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
#: how long something took, and over how many threads, is the machine's affair
_MACHINE = re.compile(r"\b\d+(?:\.\d+)?(?:e[-+]?\d+)? ?(?:m|µ)?s\b|\b\d+ threads?\b")


@dataclasses.dataclass(frozen=True)
class Step:
    command: str
    shown: list[str]


@dataclasses.dataclass(frozen=True)
class Ran:
    step: Step
    printed: list[str]
    code: int


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a Markdown text in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def steps(block: str) -> list[Step]:
    """The commands of a session with the output shown under each."""
    found: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:], []))
        elif not found:
            raise ValueError(f"a session begins with a command, not with {line!r}")
        else:
            found[-1].shown.append(line.rstrip())
    return found


def run(session: list[Step], folder: Path, path: str, timeout: float = 120.0) -> list[Ran]:
    """Type the commands of a session into one bash in ``folder`` on a terminal, and read what they print."""
    script = "".join(f"{s.command}\n__code=$?; printf '{_MARK}%s{_MARK}' $__code; (exit $__code)\n" for s in session)
    out = _on_a_terminal(["bash", "--norc", "-c", script], folder, _outside(path), timeout)
    parts = out.split(_MARK)
    if len(parts) != 2 * len(session) + 1:
        raise AssertionError(f"the session stopped early:\n{out}")
    return [
        Ran(step, [line.rstrip() for line in parts[2 * i].splitlines()], int(parts[2 * i + 1]))
        for i, step in enumerate(session)
    ]


def _outside(path: str) -> dict[str, str]:
    """The environment of a shell of its own: what make says to the makes below it is not meant for ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return kept | {"PATH": path}


def _on_a_terminal(argv: list[str], folder: Path, env: dict[str, str], timeout: float) -> str:
    """Standard output and error of a command that sees a terminal of 80 columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    env |= {"TERM": "xterm", "NO_COLOR": "1"}
    child = subprocess.Popen(argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:  # Linux says EIO where others say end of file, once the last writer has gone
        pass
    finally:
        os.close(ours)
    child.wait(timeout)
    return _OVERWRITTEN.sub("", b"".join(chunks).decode().replace("\r\n", "\n"))


def difference(shown: list[str], printed: list[str], rtol: float = 1e-3) -> str | None:
    """What is wrong with an output, or None: the text is the same, spacing and times aside, and numbers within rtol.

    Whole numbers are the same exactly.
    """
    for i, line in enumerate(shown):
        if i >= len(printed):
            return f"not printed: {line!r}"
        if not _alike(line, printed[i], rtol):
            return f"shown:   {line!r}\nprinted: {printed[i]!r}"
    if len(printed) > len(shown):
        return f"not shown: {printed[len(shown)]!r}"
    return None


def _alike(shown: str, printed: str, rtol: float) -> bool:
    shown, printed = (_MACHINE.sub("MACHINE", line) for line in (shown, printed))
    if _text(shown) != _text(printed):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(a == b or (not (_whole(a) and _whole(b)) and _close(a, b, rtol)) for a, b in pairs)


def _text(line: str) -> str:
    """A line without its numbers; runs of blanks and rules count as one, for their length follows the numbers'."""
    return re.sub(r"([ ─━-])\1+", r"\1", _NUMBER.sub("#", line)).strip()


def _whole(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def _close(a: str, b: str, rtol: float) -> bool:
    return math.isclose(float(a), float(b), rel_tol=rtol)
