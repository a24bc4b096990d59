"""Engines of this process: one thread, or a pool. Same results either way: a block never knows who ran it."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from .. import cgroups
from ..errors import UsageError
from ..options import whole

T = TypeVar("T")


class Engine(Protocol):
    """Runs task(0), ..., task(count - 1) in any order, anywhere; returns the results in order."""

    @property
    def threads(self) -> int: ...

    def map(self, task: Callable[[int], T], count: int) -> list[T]: ...


class SerialEngine:
    """One block after the other, in the calling thread."""

    threads = 1

    def map(self, task: Callable[[int], T], count: int) -> list[T]:
        return [task(i) for i in range(count)]


class ThreadEngine:
    """Blocks over a pool of threads. The calling thread only waits, so that it can act on signals.

    The first failing block (by number, among those that ran) decides the exception. Where the system lets fewer threads
    start, those there are do it all.
    """

    def __init__(self, threads: int):
        if threads < 1:
            raise UsageError(f"--threads must be at least 1, not {threads}")
        self.threads = threads
        self._pool: Executor | None = None

    def map(self, task: Callable[[int], T], count: int) -> list[T]:
        if count == 1 or self.threads == 1:
            return [task(i) for i in range(count)]
        if self._pool is None:
            self._pool = pool(self.threads, "lowrank")
        results: list = [None] * count
        failures: dict[int, BaseException] = {}
        numbers = itertools.count()
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set() and (i := next(numbers)) < count:
                try:
                    results[i] = task(i)
                except BaseException as failure:
                    failures[i] = failure
                    stop.set()

        workers: list[Future[None]] = []
        try:
            for _ in range(min(self.threads, count)):
                try:
                    workers.append(self._pool.submit(work))
                except RuntimeError:
                    break
            for worker in workers:
                worker.result()
        except BaseException:
            stop.set()
            raise
        if failures:
            raise failures[min(failures)]
        return results


class _Here(Executor):
    """Does what it is given at once, in the thread that asks."""

    def submit(self, task: Callable[..., T], /, *given: Any, **more: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(task(*given, **more))
        except Exception as failure:
            done.set_exception(failure)
        return done


def pool(threads: int, name: str) -> Executor:
    """A pool of so many threads, or the calling thread where the system starts none (a limit on processes)."""
    made = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        made.submit(int).result()
    except RuntimeError:
        return _Here()
    return made


def available_threads() -> int:
    """Processors this process may use: those it may run on, or as many as its control groups grant the time of."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    granted = cgroups.processors()
    return cores if granted is None else min(cores, granted)


def engine_for(threads: int) -> Engine:
    """The engine of so many threads. Raises UsageError unless that is a whole number of at least 1."""
    threads = whole(threads, "threads")
    return SerialEngine() if threads == 1 else ThreadEngine(threads)
