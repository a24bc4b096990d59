"""A non-negative matrix from its row and column sums, as Adafactor keeps second moments."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..budget import Budget
from ..factors.rank1 import Marginals
from ..lazy import np
from ..matrices.metered import Metered
from ..streams import Streams
from .conditions import require_nonnegative
from .method import Method
from .outcome import Outcome
from .refit import refit
from .scaling import bring_to_scale, restored
from .tolerance import check_tolerance


@dataclasses.dataclass(frozen=True)
class Rank1NonnegOptions:
    """It has none."""


def run(matrix: Metered, budget: Budget, options: Rank1NonnegOptions, streams: Streams) -> Outcome:
    """A ~ r c^T with r = A 1 and c = A^T 1 / (1^T A 1): rows and columns add up to what those of A do.

    Of all non-negative matrices of rank 1 it has the least generalized Kullback-Leibler divergence sum a log(a / f) - a
    + f from A (Lee and Seung 2001; Shazeer and Stern 2018, Adafactor); in the Frobenius norm the SVD is nearer. The
    sums are added in double precision. Cost: 4 m n flops in four passes, one more for the exact error.

    Raises UsageError (a rank other than 1), InputError (negative or complex entries, NaN, Inf), NumericalError.
    """
    check_tolerance(budget, matrix.dtype)
    scaled = bring_to_scale(matrix)
    require_nonnegative(matrix, "rank1-nonneg")
    m, n = matrix.shape
    r = scaled.matrix.matmat(np.ones((n, 1)))[:, 0]
    c = scaled.matrix.rmatmat(np.ones((m, 1)))[:, 0]
    total = float(np.sum(r))
    made = Marginals(r.astype(matrix.dtype), (c / total if total else c).astype(matrix.dtype))

    def build(_: int) -> tuple[Marginals, dict[str, Any]]:
        return made, {"kernels": [f"sweep {scaled.facts.kernel}"]}

    done = refit(build, scaled, dataclasses.replace(budget, rank=1), 1, 1, streams)
    return Outcome(restored(done.factor, scaled.exponent), done.status, done.certificate, matrix.ledger, done.facts)


METHOD = Method(
    name="rank1-nonneg",
    options=Rank1NonnegOptions,
    run=run,
    identity="A ~ r c^T, r its row sums, c its column sums over their total, A >= 0",
    cost="4 m n flops in 5 passes",
    reference="Shazeer and Stern 2018; Lee and Seung 2001",
    guarantee="row and column sums are those of A; the least Kullback-Leibler divergence of rank 1",
    choose="second moments, counts, tables near independence; the cheapest there is",
    rank=1,
)
