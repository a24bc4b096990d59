"""A Dask cluster: pure tasks on its workers, and sums of their results up a tree.

Dask schedules, moves results and repeats what is lost with a worker; what the tasks compute is ours, so that its bits
are those of one machine. Its protocol unpickles what it is sent: whoever can reach a scheduler or a worker can run
programs on it, and on whoever connects to it.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import ClusterError, DependencyError, LowrankError, UsageError

#: Seconds for a scheduler to answer, and for its first worker to appear.
PATIENCE = 8
#: tcp://host:port, or without the protocol.
_ADDRESS = re.compile(r"(?:[a-z]+://)?(?:[^\s/:]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}")
#: What has to be the same everywhere for the bits to be.
COMPARED = ("python", "lowrank", "numpy", "scipy", "numba", "blas", "cpu")


class Cluster:
    """The workers behind one scheduler. ``tasks`` counts what was submitted, ``gathered`` the bytes that came here."""

    def __init__(self, client: Any):
        self._client = client
        self._numbers = itertools.count()
        self._run = f"lowrank-{os.getpid()}-{os.urandom(4).hex()}"
        self.tasks = self.gathered = 0
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except Exception as error:
            raise ClusterError("the scheduler has no workers", hint="start some: dask worker ADDRESS") from error
        workers = client.scheduler_info(n_workers=-1)["workers"]
        self.threads = sum(worker["nthreads"] for worker in workers.values())
        #: Bytes that one task may take: its share of the smallest worker.
        self.task_memory = min((w["memory_limit"] or 1 << 40) // w["nthreads"] for w in workers.values())
        self.workers = len(workers)
        self._compare()

    def submit(self, work: Callable[..., Any], *operands: Any, rows: slice | None = None) -> Any:
        """work(*operands) on some worker, as something that stands for its result; operands may be such. rows: those
        of the matrix that it is about, to be named where it fails."""
        self.tasks += 1
        key = f"{self._run}-{next(self._numbers)}"
        if rows is not None:
            key += f" of rows {rows.start} to {rows.stop - 1}"
        return self._client.submit(work, *operands, key=key, pure=True, retries=0)

    def constant(self, value: Any) -> Any:
        """A value for tasks. It stays with the scheduler, so that it can be sent again when a worker is lost."""
        return self.submit(_same, value)

    def add(self, parts: Sequence[Any], fan: int, work: Callable[..., Any] | None = None) -> Any:
        """The sum of results, so many at a time in order, then of their sums; or what ``work`` makes of so many."""
        work = _sum if work is None else work
        while len(parts) > 1:
            groups = [parts[i : i + fan] for i in range(0, len(parts), fan)]
            parts = [group[0] if len(group) == 1 else self.submit(work, *group) for group in groups]
        return parts[0]

    def gather(self, results: Sequence[Any]) -> list[Any]:
        """The results themselves. Raises the error of a task that failed, ClusterError when the cluster did."""
        with _explained():
            found = self._client.gather(list(results))
        self.gathered += sum(getattr(one, "nbytes", 0) for one in found)
        return found

    def everywhere(self, work: Callable[..., Any], *operands: Any) -> dict[str, Any]:
        """What work(*operands) returns on each worker, by its address."""
        with _explained():
            return dict(self._client.run(work, *operands))

    def _compare(self) -> None:
        """Raise ClusterError unless all workers are as this process is."""
        ours = traits()
        for worker, theirs in self.everywhere(traits).items():
            for name in COMPARED:
                if theirs[name] != ours[name]:
                    raise ClusterError(
                        f"has {name} {theirs[name]} where this process has {ours[name]}",
                        where=f"worker {worker}",
                        hint="the bits of results would differ; run the same installation on the same kind of machine",
                    )
            if theirs["threads"] > 1:
                raise ClusterError(
                    f"its BLAS uses {theirs['threads']} threads",
                    where=f"worker {worker}",
                    hint="start workers with OPENBLAS_NUM_THREADS=1, as dask worker does unless told otherwise",
                )


@contextlib.contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster of the scheduler at that address. Raises ClusterError when it does not answer, DependencyError
    without Dask."""
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--scheduler {address!r} is no address", hint="such as tcp://host:8786")
    Client, _ = _library()
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"cannot be reached within {PATIENCE} seconds", where=f"scheduler {address}", hint="is it running?"
        ) from error
    with _closing(client):
        yield Cluster(client)


@contextlib.contextmanager
def local(workers: int, memory: int) -> Iterator[Cluster]:
    """A cluster of processes on this machine, which share that much memory; gone at the end."""
    Client, LocalCluster = _library()
    import dask

    with contextlib.ExitStack() as stack:
        # Dask leaves folders behind, its scheduler too
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lowrank-", ignore_cleanup_errors=True))
        stack.enter_context(dask.config.set({"temporary-directory": folder}))
        try:
            made = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=memory // workers,
                # without a dashboard there is still a page, which must not want a port that others have
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                host="127.0.0.1",
            )
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(f"{workers} workers did not start ({error})", hint="try fewer --workers") from error
        stack.callback(_end, made)
        client = stack.enter_context(_closing(Client(made, timeout=PATIENCE, set_as_default=False)))
        yield Cluster(client)


def _library() -> tuple[Any, Any]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise DependencyError("--engine dask needs Dask", hint="pip install 'lowrank-cli[dask]'") from error
    # what is the matter is said once, by us
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    dask.config.set(
        {
            "distributed.admin.large-graph-warning-threshold": "1 TiB",
            "distributed.comm.timeouts.connect": f"{PATIENCE}s",
            # workers that are started here look for it in their environment
            "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
        }
    )
    return Client, LocalCluster


@contextlib.contextmanager
def _closing(thing: Any) -> Iterator[Any]:
    try:
        yield thing
    finally:
        with contextlib.suppress(Exception):
            thing.close(timeout=PATIENCE)


def _end(cluster: Any) -> None:
    """Close a local cluster. Nothing on its workers is wanted any more: asked to end they would first finish their
    tasks, and Dask waits for that several times over, here and when the interpreter ends."""
    for nanny in list(cluster.workers.values()):
        with contextlib.suppress(Exception):
            nanny.close_gracefully()  # it starts no other
            os.kill(nanny.pid, signal.SIGKILL)
    cluster.shutdown_on_close = False
    with contextlib.suppress(Exception):
        cluster.close(timeout=PATIENCE)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Errors of the cluster as ours."""
    try:
        yield
    except LowrankError:
        raise
    except MemoryError as error:
        raise ClusterError("a worker ran out of memory", hint="give workers more memory, or lower the rank") from error
    except ModuleNotFoundError as error:
        raise ClusterError(f"a worker lacks {error.name}", hint="install the same lowrank on all of them") from error
    except Exception as error:
        name = type(error).__name__
        if name == "KilledWorker":
            # what ``submit`` says of its rows
            told = str(getattr(error, "task", "")).partition(" ")[2]
            raise ClusterError(
                f"a task {told}".rstrip() + " was lost with every worker that tried it",
                hint="give workers more memory, or lower the rank",
            ) from error
        said = " ".join(str(error).split())[:160]
        raise ClusterError(f"the cluster failed ({name}: {said})", hint="look at its scheduler and workers") from error


def traits() -> dict[str, Any]:
    """What the bits of results depend on in this process, and how many threads its BLAS takes."""
    import platform
    from importlib.metadata import version

    import numpy
    import scipy.linalg  # noqa: F401  it brings a BLAS of its own
    import threadpoolctl

    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "python": platform.python_version(),
        "lowrank": version("lowrank-cli"),
        **{name: version(name) for name in ("scipy", "numba")},
        "numpy": numpy.__version__,
        "blas": " ".join(sorted({f"{pool['internal_api']} {pool['version']}" for pool in pools})),
        "cpu": " ".join(sorted({str(pool.get("architecture")) for pool in pools})),
        "threads": max((pool["num_threads"] for pool in pools), default=1),
    }


def _same(value: Any) -> Any:
    return value


def _sum(*parts: Any) -> Any:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
