"""How the time grows when m, n, k or the entries double, with the exponent that each doubling shows.

python bench/growth.py [--rounds N] [--scale S]
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import arena
import numpy as np
import peers
from cases import Problem, divided, sparse
from report import arguments, figure, headline, machine, table

STEPS = 4


def decaying(m: int, n: int, scale: float) -> Problem:
    """Normal entries, the i-th column divided by i: made in a moment, and its singular values fall like 1/i."""
    m, n = divided(m, scale), divided(n, scale)
    return Problem((np.random.default_rng(0).standard_normal((m, n)) / np.arange(1, n + 1.0),))


#: What doubles -> the problem and the rank after that many doublings.
AXES: dict[str, Callable[[int], tuple[Callable[[float], Problem], int]]] = {
    "m, from 2000 x 1500, rank 50": lambda i: (partial(decaying, 2000 << i, 1500), 50),
    "n, from 4000 x 1000, rank 50": lambda i: (partial(decaying, 4000, 1000 << i), 50),
    "k, from rank 25, 4000 x 3000": lambda i: (partial(decaying, 4000, 3000), 25 << i),
    "entries, from 250,000, 100,000 x 50,000, rank 30": lambda i: (partial(sparse, 100_000, 50_000, 250_000 << i), 30),
}


def main() -> None:
    asked = arguments(__doc__, rounds=3).parse_args()
    print(headline(machine(), asked.scale), flush=True)
    for axis, problem in AXES.items():
        methods = ("svd",) if axis.startswith("entries") else ("svd", "id")
        rows = [(method, *curve(method, problem, asked.rounds, asked.scale)) for method in methods]
        head = ("method", "seconds", *(f"x {2**i}" for i in range(1, STEPS)), "exponents")
        table(f"Doubling {axis}", head, rows)


def curve(method: str, problem: Callable[[int], tuple], rounds: int, scale: float) -> list[str]:
    """Seconds at every size, all sizes asked in turn, and the exponents between them."""
    contender = peers.Contender(method, "lowrank_cli", partial(peers.ours, method=method), None)
    with tempfile.TemporaryDirectory() as name:
        entries = []
        for step in range(STEPS):
            make, rank = problem(step)
            folder = Path(name) / str(step)
            folder.mkdir()
            rank = divided(rank, scale)
            entries.append(arena.Entry(contender, arena.store(make(scale).arrays, folder), rank, rank))
        seconds = [result.expect().median for result in arena.run(entries, rounds)]
    exponents = [math.log2(after / before) for before, after in itertools.pairwise(seconds)]
    return [*map(figure, seconds), ", ".join(f"{x:.2f}" for x in exponents)]


if __name__ == "__main__":
    main()
