"""The process around a command: threads of BLAS, descriptors, signals, exit code."""

from __future__ import annotations

import signal

# an interrupt while we are still being imported ends us in silence, not with a traceback
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import sys
import warnings

from .cli import process

# the HDF5 library of this process opens no shared library that lies in a folder of plugins
os.environ["HDF5_PLUGIN_PRELOAD"] = "::"


def main() -> None:
    """Run the command line of this process and exit."""
    blas_pinned = process.pin_blas()
    fd = process.separate_stdout()
    signals = process.Signals()
    try:
        code = _run(fd, blas_pinned, signals)
    except process.Stopped as stopped:
        process.leave(stopped.number)
    except KeyboardInterrupt:
        process.leave(2)
    finally:
        process.clean_up()
    sys.exit(code)


def _run(fd: int | None, blas_pinned: bool, signals: process.Signals) -> int:
    from .cli.app import run
    from .cli.completion import ASKED, serve
    from .cli.terminal import Terminal, text_stream

    argv = sys.argv[1:]
    debug = "--debug" in argv or os.environ.get("LOWRANK_DEBUG", "") not in ("", "0")
    if not debug:
        # a library's warning is no line of ours, and must not become an exception under -W error
        warnings.simplefilter("ignore")
    sys.stdout = text_stream(fd, "standard output", sys.stdout)
    sys.stderr = text_stream(2, "standard error", sys.stderr)
    asked = os.environ.get(ASKED)
    if asked is not None:
        return serve(asked, argv, sys.stdout)
    terminal = Terminal(sys.stdout, sys.stderr, fd, argv, blas_pinned, debug, held=signals.held)
    return run(argv, terminal)


if __name__ == "__main__":
    main()
