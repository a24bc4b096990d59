"""Who computes: threads of this process, or the workers of a cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..engines import TABLE
from ..errors import UsageError
from ..options import flag
from ..registry import find
from .command import Param, Values
from .params import whole

if TYPE_CHECKING:
    from ..engines.cluster import Cluster

#: Where Dask itself looks for the address of a scheduler.
ADDRESS = "DASK_SCHEDULER_ADDRESS"
MAX_WORKERS = 1024
PARAMS = (
    Param(
        "engine",
        "Who computes: threads of this process, or dask, workers of a cluster that read the file themselves; the "
        "result does not depend on it.  [default: threads]",
        ("--engine",),
        "NAME",
        "Resources",
    ),
    Param(
        "scheduler",
        f"With --engine dask: the scheduler, such as tcp://host:8786.  [default: {ADDRESS}]",
        ("--scheduler",),
        "ADDRESS",
        "Resources",
    ),
    Param(
        "workers",
        f"With --engine dask: so many processes of this machine as workers.  [from 1 to {MAX_WORKERS}]",
        ("--workers",),
        "N",
        "Resources",
    ),
)


def check(values: Values, others: Iterable[str] = ()) -> None:
    """Refuse contradictions before any work. others: names of parameters that do not go with a cluster."""
    name = values.get("engine") or "threads"
    find(TABLE, name, "engine")
    given = [flag for flag in ("scheduler", "workers") if values.get(flag) is not None]
    if name != "dask":
        if given:
            raise UsageError(f"--{given[0]} goes with --engine dask", hint="add --engine dask, or leave it out")
        return
    if len(given) == 2:
        raise UsageError("--scheduler and --workers contradict each other", hint="give one of them")
    if not given and not os.environ.get(ADDRESS):
        raise UsageError(
            "--engine dask needs a cluster", hint=f"--scheduler ADDRESS, {ADDRESS}, or --workers N on this machine"
        )
    if values.get("workers") is not None and not 1 <= whole(values["workers"], "workers") <= MAX_WORKERS:
        raise UsageError(f"--workers must be from 1 to {MAX_WORKERS}, not {values['workers']}")
    for other in others:
        if values.get(other):
            raise UsageError(f"{flag(other)} does not go with --engine dask", hint="leave out one of them")


@contextlib.contextmanager
def opened(values: Values) -> Iterator[Cluster | None]:
    """The cluster that is asked for, until the end; None for this process."""
    if values.get("engine") != "dask":
        yield None
        return
    from ..engines import cluster
    from ..memory import available_memory

    if values.get("workers") is not None:
        asked = cluster.local(int(values["workers"]), available_memory())
    else:
        asked = cluster.connected(values.get("scheduler") or os.environ[ADDRESS])
    with asked as found:
        yield found


def name(cluster: Cluster | None, threads: int) -> str:
    """The engine as the ``run`` block of a report says it."""
    return "dask" if cluster is not None else "threads" if threads > 1 else "serial"
