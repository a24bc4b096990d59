"""BLAS gets one thread: a thread count inside BLAS changes bits, and idle BLAS threads spin against our pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_controller: list[Any] = []


@contextlib.contextmanager
def single_threaded(pinned: bool = False) -> Iterator[None]:
    """BLAS limited to one thread inside the block. pinned: the process began that way, there is nothing to do."""
    if pinned:
        yield
        return
    from threadpoolctl import ThreadpoolController

    if not _controller:
        import numpy.linalg  # noqa: F401  the library must be loaded for the controller to see it

        _controller.append(ThreadpoolController())
    with _controller[0].limit(limits=1, user_api="blas"):
        yield
