"""From argv to an exit code: parse, run, and say in one line what went wrong."""

from __future__ import annotations

import traceback

from ..errors import Exit, LowrankError, ResourceError
from ..plugins import problems
from .terminal import ReaderGone, Terminal

BROKEN_PIPE = 141
#: Bytes of address space below which NumPy cannot be loaded.
LEAST_ADDRESS_SPACE = 200 << 20


def run(argv: list[str], terminal: Terminal) -> int:
    """Carry out a command line. Returns the exit code; raises only what stops the whole process (signals)."""
    try:
        code = _run(argv, terminal)
        for line in problems():
            terminal.warn(line)
        return code
    except ReaderGone:
        return BROKEN_PIPE


def _run(argv: list[str], terminal: Terminal) -> int:
    from .lazy import parse

    try:
        request = parse(argv)
        if isinstance(request, int) or request is None:
            return request or Exit.DONE
        terminal.quiet = bool(request.values.get("quiet"))
        terminal.verbose = int(request.values.get("verbose") or 0)
        _check_address_space()
        if request.values.get("memory") is not None:
            from ..memory import allow
            from .params import size

            allow(size(request.values["memory"], "memory"))
        return int(request.command.run(request.values, terminal))
    except (BrokenPipeError, ReaderGone) as error:
        raise ReaderGone from error
    except Exception as error:
        return _failed(error, terminal)


def _check_address_space() -> None:
    """Raise ResourceError where the libraries could not even be loaded: they fail in their own ways."""
    try:
        import resource
    except ImportError:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise ResourceError(
            f"the address space of this process is limited to {limit >> 20} MiB, too little for the libraries",
            hint=f"allow {LEAST_ADDRESS_SPACE >> 20} MiB or more (ulimit -v)",
        )


def _failed(error: Exception, terminal: Terminal) -> int:
    if isinstance(error.__cause__, BrokenPipeError):
        raise ReaderGone from error
    return say(error, terminal)


def say(error: Exception, terminal: Terminal, name: str = "") -> int:
    """Print the one line of an error, and its traceback for --debug. Returns the exit code it means.

    name: of the input it befell, for errors that do not tell it.
    """
    if terminal.debug:
        terminal.err.write("".join(traceback.format_exception(error)))
    line, code = explain(error, name)
    terminal.line("error", line)
    return code


def explain(error: Exception, name: str = "") -> tuple[str, int]:
    """What to say of an exception, and the exit code it means."""
    line, code = _explained(error)
    return (line if not name or name in line else f"{name}: {line}"), code


def _explained(error: Exception) -> tuple[str, int]:
    if isinstance(error, LowrankError):
        return error.line(), int(error.exit_code)
    if isinstance(error, MemoryError):
        asked = f" ({error})" if str(error) else ""
        return f"not enough memory{asked}; ask for a smaller rank, or use a machine with more", int(Exit.RESOURCES)
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "no more threads may be started; allow more processes (ulimit -u)", int(Exit.RESOURCES)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"internal error: {what}; please report, rerun with --debug for the traceback", int(Exit.FAILED)
