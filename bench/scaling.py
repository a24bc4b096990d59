"""How many threads make it how much faster: our dense and sparse SVD, ID and product, from 1 thread to all cores.

python bench/scaling.py [--threads 1,2,4] [--rounds N] [--scale S]
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import arena
import peers
from cases import BY_NAME
from report import arguments, cores, figure, headline, machine, table

#: Case -> what is run with threads=.
JOBS = {
    "svd 1/i": peers.ours,
    "id 1/i": partial(peers.ours, method="id"),
    "cr r=1500": peers.ours_product,
    "sparse": peers.ours,
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--threads", default="", metavar="LIST", help="numbers of threads, by default 1, 2, 4 to all")
    asked = parser.parse_args()
    counts = [int(part) for part in asked.threads.split(",")] if asked.threads else doubling(cores())
    print(headline(machine(), asked.scale), flush=True)
    rows = []
    for name, job in JOBS.items():
        medians = timed(name, job, counts, asked.rounds, asked.scale)
        rows.append((name, figure(medians[0]), *(f"{medians[0] / seconds:.2f}" for seconds in medians)))
    head = ("case", f"seconds, {counts[0]} thread{'s' * (counts[0] > 1)}", *(f"{count} threads" for count in counts))
    table("Speed-up by threads", head, rows)


def doubling(limit: int) -> list[int]:
    return [count for power in range(limit.bit_length()) if (count := 2**power) < limit] + [limit]


def timed(name: str, job: partial, counts: list[int], rounds: int, scale: float) -> list[float]:
    """The median for every number of threads, all of them asked in turn."""
    case = BY_NAME[name].at(scale)
    with tempfile.TemporaryDirectory() as folder:
        files = arena.store(case.make(scale).arrays, Path(folder))
        entries = [
            arena.Entry(
                peers.Contender(f"{count} threads", "lowrank_cli", partial(job, threads=count), None),
                files,
                case.rank,
                case.width,
            )
            for count in counts
        ]
        return [result.expect().median for result in arena.run(entries, rounds)]


if __name__ == "__main__":
    main()
