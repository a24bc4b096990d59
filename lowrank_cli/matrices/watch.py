"""Who is told of passes as they go, and may know what one of them comes to: this one neither cares nor knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Watch:
    """Told by a metered matrix which pass it is, and by the matrix what is read; any thread may tell.

    keeps: it asks for what passes come to, so that a pass over much is worth being done in several steps.
    """

    keeps = False

    def expects(self, needed: dict[str, int], passes: int | None) -> None:
        """What the run is going to take: bytes of memory by component, and about how many passes, if that is known."""

    def begins(self, number: int) -> None:
        """Pass ``number`` of the run begins, counted from 1."""

    def reads(self, size: int) -> None:
        """All of a matrix is going to be read, so many bytes as they are in memory; a pass may do that more than
        once."""

    def came(self, size: int) -> None:
        """So many more bytes have been worked on."""

    def ends(self) -> None:
        """The pass is over, or was given up."""

    def steps(
        self,
        matrix: Any,
        what: str,
        operands: Sequence[Any],
        state: dict[str, Any],
        plan: Sequence[Any],
        start: Callable[[int], Iterator[T]],
    ) -> Iterator[T]:
        """The steps of a pass that are still to do: all of them, ``start(0)``, or ``start(i)`` without the first i.

        ``what`` and its operands say what the pass works out of the matrix. ``state``: arrays, lists and dicts that
        hold what the steps so far came to, all of it when the last one is done; whoever knows that fills them in place.
        plan: where each step ends, in the one order that they are done in.
        """
        return start(0)

    def result(self, matrix: Any, what: str, operands: Sequence[Any], make: Callable[[], T]) -> T:
        """What ``make`` returns: something that is worked out of the matrix in one go."""
        return make()


UNWATCHED = Watch()
