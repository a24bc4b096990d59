"""Methods that compute nothing, so that the command line is tested by itself and at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lowrank_cli.algorithms.method import Method
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.options import opt
from lowrank_cli.reports import facts

from . import samples


@dataclasses.dataclass(frozen=True)
class SVDOptions:
    block: int | None = opt(None, "Columns of a block.", min=1)
    max_passes: int = opt(50, "Most passes.", min=2)

    def __post_init__(self) -> None:
        from lowrank_cli.options import check

        check(self)


@dataclasses.dataclass(frozen=True)
class IDOptions:
    axis: str = opt("cols", "What to choose.", choices=("cols", "rows"))
    oversample: int = opt(10, "More columns than asked for.", min=0)


@dataclasses.dataclass(frozen=True)
class CROptions:
    scheme: str | None = opt(None, "How to sample.", choices=("uniform", "optimal"))


def _never(*args: Any) -> Any:
    raise AssertionError("a stand-in was run")


_SAID = ("",) * 5
SVD = Method("svd", SVDOptions, _never, *_SAID)
ID = Method("id", IDOptions, _never, *_SAID)
CR = Method("cr", CROptions, _never, *_SAID, of_product=True, companions=("times",))


class Library:
    """Stands in for ``lowrank_cli.api.run``: records the job, returns what it was told to."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.status = Status.CONVERGED
        self.error: Exception | None = None

    def run(
        self,
        job: Any,
        matrix: Any,
        companions: Any,
        *,
        threads: int = 1,
        blas_pinned: bool = False,
        checkpoint: Any = None,
    ) -> Any:
        self.jobs.append((job, matrix, companions.get("times"), threads))
        if self.error is not None:
            raise self.error
        outcome = samples.outcome(status=self.status)
        first, *others = (
            samples.matrix_input(*one.shape, item=one.item.path) for one in (matrix, *companions.values())
        )
        named = dict(zip(companions, others, strict=True))
        report = facts.approximation(job.command, job.method, first, named, job.budget, job.options, job.seed, outcome)
        return outcome, report

    @property
    def job(self) -> Any:
        return self.jobs[-1][0]


def save_matrix(path: Any, shape: tuple[int, int] = (6, 5)) -> str:
    np.save(path, np.arange(float(np.prod(shape))).reshape(shape))
    return str(path)
