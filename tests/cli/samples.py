"""Reports made by hand, for tests of faces."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lowrank_cli.algorithms.outcome import Outcome, Status
from lowrank_cli.budget import Budget
from lowrank_cli.certificates.certificate import Certificate
from lowrank_cli.factors.svd import SVD
from lowrank_cli.matrices.metered import Ledger
from lowrank_cli.options import opt
from lowrank_cli.reports import facts

THIRD = 1 / 3


@dataclasses.dataclass(frozen=True)
class Options:
    block: int | None = opt(None, "Columns of a block.", min=1)
    oversample: int = opt(10, "More columns than asked for.", min=0)


def matrix_input(m: int, n: int, nnz: int | None = None, item: str | None = None) -> dict[str, Any]:
    return {
        "item": item,
        "shape": [m, n],
        "dtype": "float64",
        "nnz": nnz,
        "bytes": 8 * m * n if nnz is None else 12 * nnz,
        "digest": "sha256:00",
    }


def outcome(factor: Any = None, status: Status = Status.CONVERGED, relative: float | None = THIRD, **more: Any) -> Any:
    made = factor if factor is not None else SVD(np.ones((6, 2)), np.ones(2), np.ones((2, 5)))
    certificate = Certificate("fro", "exact", 2 * THIRD, relative, optimal_lower=0.1, optimal_upper=THIRD)
    return Outcome(made, status, certificate, Ledger(3, 4, 1000), dict(more))


def report(
    *,
    command: str = "approx",
    factor: Any = None,
    shape: tuple[int, int] = (6, 5),
    nnz: int | None = None,
    item: str | None = None,
    times: dict[str, Any] | None = None,
    budget: Budget | None = None,
    options: Any = None,
    status: Status = Status.CONVERGED,
    relative: float | None = THIRD,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    made = outcome(factor, status, relative, **(facts or {}))
    first = matrix_input(*shape, nnz=nnz, item=item)
    others = {} if times is None else {"times": times}
    return _facts(command, made.factor.kind, first, others, budget or Budget(rank=2), options, 0, made)


_facts = facts.approximation
