"""Completion: what may follow on a command line, from the same parameters that parse it; and the scripts of the shells.

A script calls the command with ASKED set to its shell. The names of matrices inside a file are read from its headers,
in at most PATIENCE seconds; whatever goes wrong is silence, and the shell offers file names.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError
from . import TABLE
from .command import Command, Param

ASKED = "_LOWRANK_COMPLETE"
PATIENCE = 2.0
ROOT = ("--help", "--version", "--show-completion", "--install-completion")
_CONTAINERS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0")
_SPECIAL = re.compile(r"([^\w@%+=:,./{}~-])")

SCRIPTS = {
    "bash": f"""_lowrank() {{
    local IFS=$'\\n'
    COMPREPLY=($({ASKED}=bash "$1" "${{COMP_LINE:0:COMP_POINT}}" "$COMP_WORDBREAKS" 2>/dev/null))
}}
complete -o bashdefault -o default -F _lowrank lowrank
""",
    "zsh": f"""#compdef lowrank
_lowrank() {{
    local -a found
    found=("${{(@f)$({ASKED}=zsh "$words[1]" "${{(@Q)words[2,CURRENT]}}" 2>/dev/null)}}")
    if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}}
if [ "$funcstack[1]" = _lowrank ]; then _lowrank "$@"; else compdef _lowrank lowrank; fi
""",
    "fish": f"""function __lowrank_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    {ASKED}=fish $before[1] $before[2..-1] "$current" 2>/dev/null
end
complete -c lowrank -a '(__lowrank_complete)'
""",
}


def script(shell: str) -> str:
    """The script of a shell. Raises UsageError for one that we have none for."""
    if shell not in SCRIPTS:
        raise UsageError(f"there is no completion for {shell!r}", hint=f"choose one of {', '.join(SCRIPTS)}")
    return SCRIPTS[shell]


def install(shell: str) -> str:
    """Write the script where the shell looks for scripts of its user. Returns the name of the file."""
    text, home = script(shell), Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    target = {
        "bash": data / "bash-completion" / "completions" / "lowrank",
        "zsh": data / "zsh" / "site-functions" / "_lowrank",
        "fish": config / "fish" / "completions" / "lowrank.fish",
    }[shell]
    from ..formats import atomic

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be made ({error.strerror})", where=target.parent) from error
    atomic.commit(str(target), [text.encode()], len(text))
    return str(target)


def serve(shell: str, argv: Sequence[str], out: Any) -> int:
    """What a process started by a script does: answer in time, or end in silence."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    answer(shell, argv, out)
    return 0


def answer(shell: str, argv: Sequence[str], out: Any) -> None:
    """Print what may stand at the cursor, one a line; nothing when anything goes wrong."""
    with contextlib.suppress(Exception):
        found = list(_of_bash(*argv) if shell == "bash" else candidates(list(argv)))
        out.write("".join(f"{line}\n" for line in dict.fromkeys(found) if line.isprintable()))


def _of_bash(line: str, breaks: str) -> Iterable[str]:
    """Bash replaces only what follows the last of its word breaks, and takes words as they would be typed."""
    words, typed = split(line)
    whole = candidates(words[1:])
    at = max((typed.rfind(mark) for mark in ":=" if mark in breaks), default=-1) + 1
    quoted = typed[:1] in ("'", '"')
    for word in whole:
        written = word if quoted else _SPECIAL.sub(r"\\\1", word)
        yield written if quoted else written[at:]


def split(line: str) -> tuple[list[str], str]:
    """The words of a line up to the cursor, without their quotes; and the last one as it was typed."""
    words, typed, word, quote, escaped = [], "", "", "", False
    for char in line:
        if not quote and not escaped and char.isspace():
            if typed:
                words.append(word)
            typed = word = ""
            continue
        typed += char
        if escaped:
            word, escaped = word + char, False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char in ("'", '"') and quote in ("", char):
            quote = "" if quote else char
        else:
            word += char
    return [*words, word], typed


def candidates(words: Sequence[str]) -> list[str]:
    """What the last of the words, those after the name of the command, may become."""
    *before, current = words or [""]
    verb = next((word for word in before if not word.startswith("-")), None)
    if verb is None:
        return _fitting(ROOT if current.startswith("-") else TABLE, current)
    if verb not in TABLE:
        return []
    command: Command = TABLE[verb].load()
    rest = before[before.index(verb) + 1 :]
    if "--" in rest:
        return _items(current)
    # the options of a method that is named, else of all
    named = command.brief is not None and any(word in ("-m", "--method") or "--method=" in word for word in rest)
    params = command.brief(rest) if command.brief is not None and named else command.params()
    flags = {name: param for param in params for name in param.flags}
    taker = flags.get(rest[-1]) if rest else None
    if taker is not None and taker.kind == "text":
        return _values(taker, rest, current)
    name, equals, value = current.partition("=")
    if equals and name in flags:
        return [f"{name}={found}" for found in _values(flags[name], rest, value)]
    if current.startswith("-"):
        longest = (max(param.flags, key=len) for param in params if param.flags)
        return _fitting([*longest, "--help"], current)
    for param in params:
        if not param.flags and param.choices:
            return _values(param, rest, current)
    return _items(current)


def _values(param: Param, rest: Sequence[str], current: str) -> list[str]:
    if param.name == "dataset":
        path = next((word for word in rest if os.path.isfile(word)), "")
        return [item for item in _names(path) if item.startswith(current)]
    return _fitting(param.choices() if callable(param.choices) else param.choices, current) or _items(current)


def _items(current: str) -> list[str]:
    """PATH:ITEM, once the path is that of a container."""
    at = current.find(":")
    while at > 0:
        path, inside = current[:at], current[at + 1 :]
        if os.path.isfile(os.path.expanduser(path)):
            names = _names(os.path.expanduser(path))
            return [f"{path}:{name}" for name in names if name.startswith(inside) or name[1:].startswith(inside)]
        at = current.find(":", at + 1)
    return []


def _names(path: str) -> list[str]:
    """The matrices of a container, from its headers; of other files none, which may have no header to read."""
    if not os.path.isfile(path):
        return []
    with open(path, "rb") as file:
        known = file.read(16).startswith(_CONTAINERS) or path.endswith(".safetensors")
    if not known:
        return []
    from ..formats.opening import list_items

    return [item.path for item in list_items(path)[1] if item.path]


def _fitting(names: Iterable[str], current: str) -> list[str]:
    return [name for name in names if name.startswith(current)]
