"""Fair timing: every contender warm in a process of its own, all asked in turn, so that drift hits all alike."""

from __future__ import annotations

import dataclasses
import importlib.util
import multiprocessing
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from peers import Contender

#: Seconds that a turn lasts at least: short calls are repeated and their mean is taken.
TURN = 0.05
#: Seconds between turns, in which idle threads of the one before stop spinning.
PAUSE = 0.1
#: Seconds after which a contender that has not answered is given up.
PATIENCE = 900.0


@dataclasses.dataclass(frozen=True)
class Entry:
    """A contender, the files of its matrices, the rank, and the width of the unit."""

    contender: Contender
    files: tuple[Path, ...]
    rank: int
    width: int


@dataclasses.dataclass
class Result:
    """seconds: one figure a round. factors: the file they were saved in. work: what was counted. absent: why there is
    nothing of this."""

    entry: Entry
    seconds: list[float] = dataclasses.field(default_factory=list)
    factors: Path | None = None
    work: str = ""
    absent: str = ""

    @property
    def name(self) -> str:
        return self.entry.contender.name

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def expect(self) -> Result:
        """The result, where its absence would be a fault of ours."""
        if self.absent:
            raise SystemExit(f"{self.name} {self.absent}")
        return self


def store(arrays: Sequence[Any], folder: Path) -> tuple[Path, ...]:
    """Save the matrices for the workers to read: arrays as .npy, sparse ones as .npz."""
    import scipy.sparse

    files = []
    for number, array in enumerate(arrays):
        is_sparse = scipy.sparse.issparse(array)
        files.append(folder / f"{number}.np{'z' if is_sparse else 'y'}")
        if is_sparse:
            scipy.sparse.save_npz(files[-1], array, compressed=False)
        else:
            np.save(files[-1], array)
    return tuple(files)


def load(files: Sequence[Path]) -> Any:
    """What the workers read: one matrix, or a tuple of two."""
    import scipy.sparse

    arrays = [scipy.sparse.load_npz(f) if f.suffix == ".npz" else np.load(f) for f in files]
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def run(entries: Sequence[Entry], rounds: int, folder: Path | None = None) -> list[Result]:
    """Time all entries round robin; with a folder, keep the factors of the last call in it."""
    results = [Result(entry) for entry in entries]
    workers = []
    for result in results:
        needs = result.entry.contender.needs
        if importlib.util.find_spec(needs) is None:
            result.absent = f"skipped: {needs} is not installed"
        else:
            workers.append(_Worker(result))
    for _ in range(rounds):
        for worker in workers:
            time.sleep(PAUSE)
            if (seconds := worker.ask("time")) is not None:
                worker.result.seconds.append(seconds)
    for number, worker in enumerate(workers):
        if folder is not None and worker.result.entry.contender.factors is not None:
            worker.result.factors = worker.ask(folder / f"factors{number}.npz")
        worker.result.work = worker.ask("work") or ""
        worker.end()
    return results


def seconds_of(job: Callable[[], Any]) -> float:
    """How long a call takes; what it returns is let go of afterwards."""
    began = time.perf_counter()
    kept = job()
    seconds = time.perf_counter() - began
    del kept
    return seconds


def alternate(jobs: dict[str, Any], rounds: int, clock: Callable[[Any], Any] = seconds_of) -> dict[str, list[Any]]:
    """The same for jobs that need no process kept for them: what the clock said of each in every round, but for a
    first one that warms."""
    found: dict[str, list[Any]] = {name: [] for name in jobs}
    for round_ in range(rounds + 1):
        for name, job in jobs.items():
            said = clock(job)
            if round_:
                found[name].append(said)
    return found


class _Failed(Exception):
    """The answer of a contender that could not do what it was asked, with the reason as text."""


class _Worker:
    """Our end of a contender's process. Whatever goes wrong at the other end becomes the result's ``absent``."""

    def __init__(self, result: Result):
        context = multiprocessing.get_context("spawn")
        self.result = result
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, result.entry), daemon=True)
        self._process.start()
        theirs.close()
        self.ask("warm")

    def ask(self, order: Any) -> Any:
        """Send an order and wait for its answer; None once something has failed."""
        if self.result.absent:
            return None
        try:
            self._ours.send(order)
            if not self._ours.poll(PATIENCE):
                raise TimeoutError(f"no answer in {PATIENCE:g} s")
            answer = self._ours.recv()
        except (EOFError, ConnectionError):
            answer = _Failed("its process ended")
        except TimeoutError as error:
            answer = _Failed(str(error))
        if isinstance(answer, _Failed):
            self.result.absent = f"failed: {answer}"
            self.end()
            return None
        return answer

    def end(self) -> None:
        self._ours.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, entry: Entry) -> None:
    """The contender's process: an answer to every order, the exception where there was one."""
    os.dup2(2, 1)  # what a library prints is no part of our tables
    warnings.simplefilter("ignore")
    seat = None
    while True:
        try:
            order = connection.recv()
        except EOFError:
            return
        try:
            seat = seat or _Seat(entry)
            answer = seat.save(order) if isinstance(order, Path) else getattr(seat, order)()
        except Exception as error:
            answer = _Failed(f"{type(error).__name__}: {error}".splitlines()[0])
        connection.send(answer)


class _Seat:
    """A contender with its matrix."""

    def __init__(self, entry: Entry):
        self.contender, self.rank = entry.contender, entry.rank
        self.given = load(entry.files)
        self.A = self.contender.prepare(self.given, entry.width)
        self.result: Any = None
        self.vectors = 0

    def warm(self) -> bool:
        """The first call, which is not timed: where vectors can be counted, they are counted now."""
        self.result = self.contender.run(self._counting() if self.contender.counted else self.A, self.rank)
        return True

    def time(self) -> float:
        """Seconds of a call."""
        self.result, calls = None, 0
        began = time.perf_counter()
        while True:
            self.result = self.contender.run(self.A, self.rank)
            calls += 1
            if (seconds := time.perf_counter() - began) >= TURN:
                return seconds / calls

    def save(self, path: Path) -> Path:
        assert self.contender.factors is not None
        np.savez(path, *self.contender.factors(self.result, self.given, self.rank))
        return path

    def work(self) -> str:
        """What was counted, by our own ledger or by the operator."""
        outcome = self.result[0] if isinstance(self.result, tuple) else self.result
        ledger = getattr(outcome, "ledger", None)
        if ledger is not None:
            return f"{ledger.passes} passes, {ledger.products} products"
        return f"{self.vectors} vectors" if self.vectors else ""

    def _counting(self) -> Any:
        from scipy.sparse.linalg import LinearOperator

        def times(B: Any) -> Callable[[np.ndarray], np.ndarray]:
            def product(X: np.ndarray) -> np.ndarray:
                self.vectors += X.shape[1] if X.ndim > 1 else 1
                return B @ X

            return product

        A, Ah = times(self.A), times(self.A.T)
        return LinearOperator(self.A.shape, matvec=A, rmatvec=Ah, matmat=A, rmatmat=Ah, dtype=self.A.dtype)
