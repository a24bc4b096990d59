"""One damaged file, read as a user would read it. As a program: many of them, in a process that may die.

``python reading.py SAMPLE FIRST COUNT FILE``: the damage of seeds FIRST to FIRST + COUNT; prints a seed before its file
is read, so that whoever started it knows which one a crash belongs to; and how many were refused.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import lowrank_cli
from lowrank_cli.errors import Exit, LowrankError
from lowrank_cli.formats.opening import list_items

from .mutations import mutated

#: A file is read, or refused as an input (or for its size); a matrix whose norm overflows is a numerical failure.
ALLOWED = {Exit.INPUT, Exit.RESOURCES, Exit.FAILED}


def damaged(content: bytes, name: str, seed: int) -> bytes:
    return mutated(content, np.random.default_rng([seed, *name.encode()]))


def read(path: str) -> int:
    """How many of two ways to read a file refused it; AssertionError for a refusal that is none of ours."""
    refused = 0
    for action in (lambda: list_items(path), lambda: lowrank_cli.approx(path, rank=1)):
        try:
            action()
        except LowrankError as error:
            assert error.exit_code in ALLOWED and "\n" not in error.line(), error.line()
            refused += 1
    return refused


def main(name: str, first: int, count: int, path: str) -> None:
    import resource

    from .samples import NATIVE

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    refused = 0
    for seed in range(first, first + count):
        print("seed", seed, flush=True)
        Path(path).write_bytes(damaged(NATIVE[name], name, seed))
        refused += read(path)
    print("refused", refused, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
