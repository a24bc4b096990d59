"""BLAS gets one thread: a thread count inside BLAS changes bits, and idle BLAS threads spin against our pool."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

_controllers: dict[bool, Any] = {}


def libraries() -> list[dict[str, Any]]:
    """The BLAS libraries in this process: internal_api, version, filepath and, where known, architecture."""
    import numpy.linalg  # noqa: F401  a library must be loaded to be seen
    from threadpoolctl import threadpool_info

    return [found for found in threadpool_info() if found["user_api"] == "blas"]


@contextlib.contextmanager
def single_threaded(pinned: bool = False) -> Iterator[None]:
    """BLAS limited to one thread inside the block. pinned: the process began that way, there is nothing to do."""
    if pinned:
        yield
        return
    import numpy.linalg  # noqa: F401  a library must be loaded for a controller to see it
    from threadpoolctl import ThreadpoolController

    # SciPy brings a BLAS of its own, which a controller made before does not know
    known = "scipy.linalg" in sys.modules
    if known not in _controllers:
        _controllers[known] = ThreadpoolController()
    with _controllers[known].limit(limits=1, user_api="blas"):
        yield
