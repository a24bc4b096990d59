"""Floor 1: run a pass. Map over blocks, results in order; nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from ..registry import Entry

TABLE: Mapping[str, Entry] = {
    "serial": Entry("lowrank_cli.engines.threads:SerialEngine", "one block after the other, in this thread"),
    "dask": Entry("lowrank_cli.engines.cluster:Cluster", "row blocks over the workers of a Dask cluster"),
    "threads": Entry("lowrank_cli.engines.threads:ThreadEngine", "blocks over a pool of threads of this process"),
}
