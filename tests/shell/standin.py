"""The real process with a library that does what a test asks for: run as ``python -m``, like the command itself.

LOWRANK_STANDIN chooses: "svd" computes for a long time inside LAPACK, "write" hangs in the middle of writing the
output, "xerbla" prints on descriptor 1 as LAPACK does, "quick" returns at once.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cli.standin as methods

from lowrank_cli.algorithms import TABLE
from lowrank_cli.registry import Entry


def busy() -> None:
    """One LAPACK call that takes minutes with one thread."""
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((6000, 6000))
    print("ready", file=sys.stderr, flush=True)
    np.linalg.svd(matrix)


def write_for_ever(target: str) -> None:
    from lowrank_cli.formats import atomic

    def chunks() -> Any:
        yield b"half"
        print("ready", file=sys.stderr, flush=True)
        time.sleep(600)

    atomic.commit(target, chunks(), 1 << 20)


def install(choice: str) -> None:
    from lowrank_cli import api

    library = methods.Library()

    def run(job: Any, *matrices: Any, **more: Any) -> Any:
        if choice == "svd":
            busy()
        if choice == "write":
            write_for_ever(sys.argv[sys.argv.index("-o") + 1])
        if choice == "xerbla":
            os.write(1, b"** On entry to DLASCL parameter number 4 had an illegal value\n")
        return library.run(job, *matrices, **more)

    for name, row in (("svd", "SVD"), ("id", "ID"), ("cr", "CR")):
        TABLE[name] = Entry(f"cli.standin:{row}", "stand-in")  # type: ignore[index]
    api.run = run


if __name__ == "__main__":
    from lowrank_cli import __main__ as entry
    from lowrank_cli.cli import process

    pin = process.pin_blas

    def pin_then_install() -> bool:
        pinned = pin()
        install(os.environ["LOWRANK_STANDIN"])
        return pinned

    process.pin_blas = pin_then_install
    entry.main()
