"""The library's front: approximate a matrix, from an array or a path. The command line is a face over this module."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from . import algorithms, registry
from .budget import Budget
from .options import check
from .streams import Streams

if TYPE_CHECKING:
    from .algorithms.outcome import Outcome
    from .formats.loaded import Loaded


@dataclasses.dataclass(frozen=True)
class Job:
    """What to do, free of where the data lie: the part of a request that decides every bit of the result.

    options is an instance of the method's options dataclass, or None for its defaults.
    """

    command: str
    method: str
    budget: Budget
    options: Any = None
    seed: int = 0


def run(job: Job, matrix: Loaded, times: Loaded | None = None, *, threads: int = 1, blas_pinned: bool = False,
        digests: bool = True) -> tuple[Outcome, dict[str, Any]]:
    """Carry out a job on loaded matrices: the outcome, and its report without the ``run`` block.

    blas_pinned says that the process started with its BLAS at one thread; otherwise it is limited for the duration.
    """
    raise NotImplementedError


def verify(factor: Any, report: dict[str, Any], matrix: Loaded, times: Loaded | None = None, *, threads: int = 1,
           blas_pinned: bool = False) -> dict[str, Any]:
    """Recompute the error of a factorization and hold it against the stored claim.

    Returns a report with ``claimed``, ``measured`` (relative errors), ``holds``, and ``reason`` (None, or a sentence).
    """
    raise NotImplementedError


def approx(A: Any, *, rank: int | None = None, rtol: float | None = None, atol: float | None = None,
           method: str = "svd", options: Any = None, times: Any = None, item: str | None = None, seed: int = 0,
           certify: str = "exact", threads: int | None = None) -> Outcome:
    """Approximate A (an array, a SciPy sparse array, or a path)."""
    raise NotImplementedError
