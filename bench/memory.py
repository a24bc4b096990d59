"""Peak memory of a factorization of a matrix in memory, against what is promised: the matrix, three times the basis on
both sides, and 200 MB for Python and its libraries.

    python bench/memory.py [--scale S]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
from cases import divided
from report import arguments, headline, machine, table

#: method, m, n, rank, dtype
CASES = (
    ("svd", 4000, 3000, 100, "float64"),
    ("svd", 3000, 4000, 100, "float64"),
    ("svd", 20000, 5000, 100, "float64"),
    ("svd", 200_000, 500, 30, "float32"),
    ("id", 4000, 3000, 100, "float64"),
    ("id", 20000, 5000, 100, "float64"),
)
OVERHEAD = 200e6
#: Where no basis is reported: the rank and the default oversampling.
OVERSAMPLE = 20
#: ru_maxrss counts kilobytes on Linux and bytes on macOS.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--child", default="", help="for this script itself: one case, as JSON")
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(peak(*json.loads(asked.child))))
        return
    print(headline(machine(), asked.scale), flush=True)
    rows = [row(case, asked.scale, asked.rounds) for case in CASES]
    head = ("method", "matrix", "rank", "basis", "before, MB", "peak, MB", "promised, MB", "kept")
    table("Peak resident memory", head, rows)


def row(case: tuple, scale: float, rounds: int) -> tuple[object, ...]:
    """The largest of some runs, each in a process of its own: a peak cannot be measured twice in one."""
    method, m, n, k, dtype = case
    m, n, k = (divided(x, scale) for x in (m, n, k))
    command = [sys.executable, __file__, "--child", json.dumps([method, m, n, k, dtype])]
    found = [json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(rounds)]
    before, most, basis = max(found, key=lambda figures: figures[1])
    width = basis or k + OVERSAMPLE
    promised = m * n * np.dtype(dtype).itemsize + 3 * (m + n) * width * 8 + OVERHEAD
    sizes = (f"{x / 1e6:.0f}" for x in (before, most, promised))
    return method, f"{m} x {n} {dtype}", k, width, *sizes, "yes" if most <= promised else "NO"


def peak(method: str, m: int, n: int, k: int, dtype: str) -> tuple[int, int, int | None]:
    """Most memory this process had before and after, in bytes, and the columns of the basis where there was one."""
    import lowrank_cli

    A = np.random.default_rng(0).standard_normal((m, n), dtype)
    A /= np.arange(1, n + 1, dtype=dtype)
    before = highest()
    outcome = lowrank_cli.approx(A, rank=k, method=method)
    return before, highest(), outcome.facts.get("basis")


def highest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


if __name__ == "__main__":
    main()
