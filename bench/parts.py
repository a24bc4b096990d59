"""Where the time of one truncated SVD goes: seconds inside each part, less those of the parts it calls.

Usage: python bench/parts.py [spectrum [certify]]. Prints a markdown table of units and percent; a unit is one
product A X with 110 columns, timed in turn with the runs.
"""

from __future__ import annotations

import functools
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from spectra import matrix

import lowrank_cli
from lowrank_cli.algorithms import assessment, basis_gram, krylov, svd, svd_sources
from lowrank_cli.matrices.metered import Metered

#: Part: the functions that make it up.
PARTS: dict[str, list[tuple[Any, str]]] = {
    "products, basis": [
        (Metered, "matmat"),
        (Metered, "normal_matmat"),
        (krylov.BlockKrylov, "start"),
        (krylov.BlockKrylov, "expand"),
    ],
    "products, last": [(svd_sources.Refined, "_refine")],
    "sweep, rounding": [(svd, "swept")],
    "projection, orthonormalisation": [(krylov.BlockKrylov, "_news")],
    "Gram matrices, joining": [(basis_gram.BasisGram, "joined")],
    "Ritz values": [(basis_gram.BasisGram, "eigen")],
    "left directions": [(krylov.BlockKrylov, "left")],
    "random numbers": [(krylov, "gaussian")],
    "signs": [(svd, "signed")],
    "exact residual": [(assessment.residual, "residual")],
    "enclosure of the best": [(svd, "enclose")],
    "the rest": [(lowrank_cli, "approx")],
}


def watch(spent: dict[str, float]) -> None:
    """Wrap every function of the table so that its own seconds are added to its part."""
    nested: list[float] = []

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*given: Any, **named: Any) -> Any:
            started = time.perf_counter()
            nested.append(0.0)
            try:
                return function(*given, **named)
            finally:
                took = time.perf_counter() - started
                spent[part] += took - nested.pop()
                if nested:
                    nested[-1] += took

        return run

    for part, functions in PARTS.items():
        for owner, name in functions:
            setattr(owner, name, timed(getattr(owner, name), part))


def main(spectrum: str = "1/i", certify: str = "none", rounds: int = 15) -> None:
    A, _ = matrix(spectrum)
    X = np.random.default_rng(0).standard_normal((A.shape[1], 110))
    spent: dict[str, float] = defaultdict(float)
    watch(spent)
    for _ in range(3):
        lowrank_cli.approx(A, rank=100, certify=certify)
    spent.clear()
    unit = 0.0
    for _ in range(rounds):
        lowrank_cli.approx(A, rank=100, certify=certify)
        time.sleep(0.05)
        A @ X
        started = time.perf_counter()
        A @ X
        unit += time.perf_counter() - started
        time.sleep(0.05)
    total = sum(spent.values())
    print(f"{spectrum}, rank 100, certify {certify}: {total / unit:.2f} units\n")
    print("| part | units | percent |\n|---|---|---|")
    for part, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"| {part} | {seconds / unit:.2f} | {100 * seconds / total:.0f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
