"""Reading one piece ahead of the computation, on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

from ..engines.threads import pool

P = TypeVar("P")
T = TypeVar("T")


class Ahead:
    """``pieces`` gives prepare(piece, slot) for each piece in order, and begins with the next one while the last is
    used. Slots 0 and 1 take turns: what was prepared in one is used no longer when it comes again."""

    def __init__(self) -> None:
        self._reader: Executor | None = None

    def pieces(self, plan: Iterable[P], prepare: Callable[[P, int], T]) -> Iterator[T]:
        if self._reader is None:
            self._reader = pool(1, "lowrank-read")
        waiting: Future[T] | None = None
        try:
            for number, piece in enumerate(plan):
                ready = None if waiting is None else waiting.result()
                waiting = self._reader.submit(prepare, piece, number % 2)
                if number:
                    yield ready  # type: ignore[misc]
            if waiting is not None:
                last, waiting = waiting.result(), None
                yield last
        finally:
            # a slot that nobody waits for must not be written when the next pass begins
            if waiting is not None and not waiting.cancel():
                waiting.exception()
