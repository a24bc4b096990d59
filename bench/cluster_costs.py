"""What a pass on a cluster costs: tasks, bytes, memory. Counted on a simulated cluster of any size, which runs nothing.

python bench/cluster_costs.py [--rows M] [--cols N] [--columns L] [--workers W] [--memory BYTES]
       [--entries PER_ROW]
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
from types import SimpleNamespace

import numpy as np

from lowrank_cli.matrices.grid import FAN, cuts
from lowrank_cli.matrices.spread import SpreadMatrix, spread_over
from lowrank_cli.matrices.spread_sparse import sparse_home
from lowrank_cli.matrices.spread_turned import Turned, plan


class Counting:
    """Stands for a cluster: counts the tasks it is given and the bytes that come back, and computes none of them."""

    def __init__(self, workers: int, memory: int):
        self.workers = self.threads = workers
        self.task_memory = memory
        self.tasks = self.gathered = 0
        #: What the next results gathered look like.
        self.result: np.ndarray = np.empty(0)

    def submit(self, *_: object, **__: object) -> None:
        self.tasks += 1

    def constant(self, _: object) -> None:
        self.tasks += 1

    def add(self, parts: list, fan: int, _: object = None) -> None:
        self.tasks += adds(len(parts), fan)

    def gather(self, results: list) -> list:
        self.gathered += self.result.nbytes * len(results)
        return [self.result for _ in results]


@dataclasses.dataclass(frozen=True)
class Costs:
    """Of A^H (A X) for X of so many columns: tasks, bytes that each worker reads and moves at most, and that the driver
    takes in; shards, and what one takes of a worker's memory."""

    shards: int
    tasks: int
    read: int
    moved: int
    driver: int
    shard: int


def adds(parts: int, fan: int = FAN) -> int:
    """Tasks that add so many results up the tree."""
    total = 0
    while parts > 1:
        groups = -(-parts // fan)
        total += groups - (parts % fan == 1)
        parts = groups
    return total


def model(m: int, n: int, columns: int, itemsize: int, shards: int, workers: int) -> Costs:
    """The costs by formula. A task a shard, two that take its pair of results apart, the sums, and one for X."""
    block = n * columns * itemsize
    tasks = 1 + 3 * shards + adds(shards)
    mine = -(-shards // workers)
    return Costs(shards, tasks, m * n * 8 // workers, (mine + 1) * block, block, -(-m // shards) * n * 8)


def simulated(m: int, n: int, columns: int, dtype: str, workers: int, memory: int) -> tuple[Counting, Costs]:
    """The same from the code that runs passes, and the model for comparison."""
    cluster = Counting(workers, memory)
    grid = cuts(m), cuts(n)
    source = SimpleNamespace(dtype=np.dtype("float64"))
    local = SimpleNamespace(
        shape=(m, n), dtype=np.dtype(dtype), grid=grid, name=None, engine=None, watch=None, source=source
    )
    A = spread_over(cluster, local, lambda rows: None)
    cluster.result = np.empty((n, columns), dtype)
    A.normal_matmat(cluster.result, keep=True)
    return cluster, model(m, n, columns, np.dtype(dtype).itemsize, len(A.home.shards), workers)


def simulated_sparse(
    m: int, n: int, entries: int, columns: int, dtype: str, workers: int, memory: int
) -> tuple[Counting, Costs]:
    """The same of a sparse matrix by rows with so many entries in each, of 8 bytes and an index of 4: tasks and sums
    are those of a dense one; who has no shard reads nothing."""
    cluster = Counting(workers, memory)
    home = sparse_home(cluster, m)
    local = SimpleNamespace(shape=(m, n), dtype=np.dtype(dtype), grid=None, name=None, engine=None, watch=None)
    shards = len(home.shards)
    A = SpreadMatrix(local, home, lambda rows: None, known=[None] * shards)
    cluster.result = np.empty((n, columns), dtype)
    A.normal_matmat(cluster.result, keep=True)
    costs = model(m, n, columns, np.dtype(dtype).itemsize, shards, workers)
    return cluster, dataclasses.replace(costs, read=m * entries * 12 // min(shards, workers), shard=0)


def turning(parts: int, shards: int) -> int:
    """Tasks that turn a matrix by columns, before its first pass. Two a part: one reads it; a piece for each of its
    shards; two a shard."""
    return 2 * parts + parts * shards + 2 * shards


def simulated_turning(m: int, n: int, entries: int, workers: int, memory: int) -> tuple[Counting, int]:
    """The same of a sparse matrix by columns with so many entries in each row, from the code that submits them."""
    cluster = Counting(workers, memory)
    stored = np.arange(n + 1) * (m * entries) // n
    lines = SimpleNamespace(shape=(m, n), stored=stored, dtype=np.dtype("f8"), index=np.dtype("i4"))
    home, parts = plan(cluster, lines)
    Turned(cluster, home, lambda columns: None, parts, n)
    return cluster, turning(len(parts), len(home.shards))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=1e9)
    parser.add_argument("--cols", type=float, default=1e4)
    parser.add_argument("--columns", type=int, default=192)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--memory", type=float, default=32 * 2**30, help="bytes of a worker, which has one thread")
    parser.add_argument("--entries", type=float, help="a sparse matrix with so many entries in each row")
    asked = parser.parse_args()
    m, n = int(asked.rows), int(asked.cols)
    how = asked.columns, "float32", asked.workers, int(asked.memory)
    if asked.entries is None:
        cluster, costs = simulated(m, n, *how)
    else:
        cluster, costs = simulated_sparse(m, n, int(asked.entries), *how)
    print(f"{m} x {n} float64, {asked.columns} columns in single precision, {asked.workers} workers")
    for name, value in dataclasses.asdict(costs).items():
        print(f"{name:8} {value:,}")
    print(f"counted  {cluster.tasks:,} tasks, {cluster.gathered:,} bytes to the driver")
    if asked.entries is not None:
        turned, _ = simulated_turning(m, n, int(asked.entries), asked.workers, int(asked.memory))
        print(f"turned   {turned.tasks:,} tasks, once, where the matrix is stored by columns")
    print(f"this process took {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
