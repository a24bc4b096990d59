"""Who is told of passes as they go: this one does not care."""

from __future__ import annotations


class Watch:
    """Told by a metered matrix which pass it is, and by the matrix what is read; any thread may tell."""

    def begins(self, number: int) -> None:
        """Pass ``number`` of the run begins, counted from 1."""

    def reads(self, size: int) -> None:
        """All of a matrix is going to be read, so many bytes as they are in memory; a pass may do that more than
        once."""

    def came(self, size: int) -> None:
        """So many more bytes have been worked on."""

    def ends(self) -> None:
        """The pass is over, or was given up."""


UNWATCHED = Watch()
