"""Ways to approximate a product side by side: sampled pairs, sketches, the best there is, and the product itself."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..algorithms.cr import CROptions
from ..algorithms.cr_schemes import TABLE
from ..budget import Budget
from ..errors import LowrankError, UsageError
from ..lazy import np
from ..sketches.sparse import STACKS
from ..streams import STREAM, Streams
from .compare import pareto

if TYPE_CHECKING:
    import numpy

    from ..algorithms.outcome import Outcome
    from ..formats.loaded import Loaded


def compare_products(
    X: Loaded, Y: Loaded, budget: Budget, *, seed: int = 0, threads: int = 1, blas_pinned: bool = False
) -> dict[str, Any]:
    """The report of a comparison of approximations of X Y: ``rows``, one report of each at the rank or tolerance asked.

    Rows: ``cr NAME`` for every scheme of column-row sampling, as ``product`` reports it; ``gaussian`` and ``sparse``,
    sketches (X S)(S^H Y) of the inner dimension; ``best``, the best product of that rank. Beside what ``approx``
    reports a row has ``structure``; ``flops``, leading terms of what it takes to ``find`` the factors and to
    ``multiply`` them; ``optimal``, the best possible error at its rank, where it is known; ``optimality_ratio``;
    ``pareto``, whether no other row is at least as good in error and bytes and better in one; ``run.seconds``.
    ``exact_flops``: those of the product itself. ``advice``: sentences on whether sampling is the right tool. What does
    not apply is under ``skipped``.

    Raises UsageError (neither rank nor tolerance, shapes that do not chain), and what all schemes refuse. Cost: that of
    the rows, each of which is measured by one product; the Gram matrices of the pairs are formed once.
    """
    if budget.rank is None and not budget.has_tolerance:
        raise UsageError(
            "a comparison of products needs --rank, the number of pairs, or a tolerance", hint="such as --rank 100"
        )
    if budget.certify not in (None, "exact") or budget.norm != "fro":
        raise UsageError("products are compared by their exact Frobenius errors", hint="leave --certify and --norm out")
    table = _Table(X, Y, budget, seed, threads, blas_pinned)
    for name in TABLE:
        table.add(f"cr {name}", "cr", lambda name=name: table.sampled(name))  # type: ignore[misc]
    if not table.rows:
        raise table.refused[0]
    s = table.rivals()
    _enclose(table.rows, s)
    points = [(row["error"]["relative"], row["compression"]["bytes_out"]) for row in table.rows]
    for row, mark in zip(table.rows, pareto(points), strict=True):
        row["pareto"] = mark
    return table.report()


class _Table:
    """The rows so far, and what they share."""

    def __init__(self, X: Loaded, Y: Loaded, budget: Budget, seed: int, threads: int, blas_pinned: bool):
        from .. import api
        from ..engines.threads import engine_for
        from ..matrices.product import Product

        self.X, self.Y, self.budget, self.seed = X, Y, budget, seed
        self.threads, self.blas_pinned = threads, blas_pinned
        engine = engine_for(threads)
        A, B = api.tiled(X, engine), api.tiled(Y, engine)
        self.product = Product(A, B, engine)
        self.first, self.times = api.described(X, A, True), api.described(Y, B, True)
        self.sizes = tuple(m.nnz if m.nnz is not None else m.shape[0] * m.shape[1] for m in (A, B))
        self.shared: dict[Any, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []
        self.refused: list[LowrankError] = []
        self.norm = 0.0

    def add(self, structure: str, method: str, make: Callable[[], tuple[dict[str, Any], int]]) -> None:
        """Make a row and enter it, or enter the reason why it does not apply."""
        started = time.perf_counter()
        try:
            report, find = make()
        except LowrankError as error:
            self.refused.append(error)
            self.skipped.append({"structure": structure, "method": method, "reason": error.what})
            return
        seconds = round(time.perf_counter() - started, 6)
        (m, n), r = self.product.shape, report["rank"]
        flops = {"find": find, "multiply": 2 * m * n * r}
        run = {"seconds": seconds, "threads": self.threads}
        self.rows.append({"structure": structure, **report, "flops": flops, "run": run})

    def sampled(self, scheme: str) -> tuple[dict[str, Any], int]:
        """The report of column-row sampling, and the flops that find its pairs and weights."""
        from .. import api

        job = api.Job("product", "cr", self.budget, CROptions(scheme=scheme), self.seed)
        how: dict[str, Any] = {"threads": self.threads, "blas_pinned": self.blas_pinned, "shared": self.shared}
        outcome, report = api.run(job, self.X, {"times": self.Y}, digests=False, **how)
        self.norm = outcome.certificate.matrix_norm or 0.0
        (m, n), l, r = self.product.shape, self.X.shape[1], outcome.factor.rank
        known = outcome.facts["selection_relative"] is not None
        walked = scheme in ("greedy", "least-squares", "wta") and known
        find = 2 * sum(self.sizes) + (l**2 * (m + n) if walked else 0)
        if scheme == "greedy":
            find += 2 * l * r**2
        elif scheme == "least-squares" and not known:
            find += 2 * r * sum(self.sizes)
        return report, find

    def rivals(self) -> numpy.ndarray | None:
        """Enter the sketches and the best product; all singular values of X Y over its norm, where they were found."""
        from ..algorithms import product_rivals as rivals
        from ..engines.blas import single_threaded

        found: list[numpy.ndarray] = []
        (m, n), l = self.product.shape, self.X.shape[1]
        a, b = min(m, l), min(n, l)

        def started() -> rivals.Rivals:
            return rivals.Rivals(self.product, self.norm, self.shared)

        def gaussian() -> tuple[dict[str, Any], int]:
            outcome = rivals.gaussian_sketch(started(), self.budget, Streams(self.seed))
            return self._told("gaussian", outcome), 2 * outcome.factor.rank * sum(self.sizes)

        def sparse() -> tuple[dict[str, Any], int]:
            outcome = rivals.sparse_sketch(started(), self.budget, Streams(self.seed))
            return self._told("sparse", outcome), 2 * min(STACKS, outcome.factor.rank) * sum(self.sizes)

        def best() -> tuple[dict[str, Any], int]:
            outcome, s = rivals.best_product(started(), self.budget)
            found.append(s)
            r = outcome.factor.rank
            bases = sum(4 * side * l**2 + 2 * side * l * r for side in (m, n) if side > l)
            # R-bidiagonalization, Golub and Van Loan 8.6
            core = 2 * a * b * l + 6 * max(a, b) * min(a, b) ** 2 + 20 * min(a, b) ** 3
            return self._told("best", outcome), bases + core

        with single_threaded(self.blas_pinned):
            self.add("gaussian", "gaussian", gaussian)
            self.add("sparse", "sparse", sparse)
            self.add("best", "best", best)
        return found[0] if found else None

    def _told(self, name: str, outcome: Outcome) -> dict[str, Any]:
        from ..reports import facts

        others = {"times": self.times}
        return facts.approximation("product", name, self.first, others, self.budget, None, self.seed, outcome)

    def report(self) -> dict[str, Any]:
        from .. import __version__
        from ..reports.facts import plain, started

        (m, n), (x, y) = self.product.shape, self.sizes
        exact = 2 * min(x * n, y * m)
        for row in self.rows:
            row |= {"input": self.first, "times": self.times}
        made = started("compare") | {"input": self.first, "times": self.times, "exact_flops": exact}
        made |= {
            "rows": self.rows,
            "skipped": self.skipped,
            "advice": advice(self.rows, exact, self.budget.has_tolerance),
        }
        made |= {"options": dataclasses.asdict(self.budget), "seed": self.seed}
        return plain(made | {"versions": {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM}})


def _enclose(rows: list[dict[str, Any]], s: numpy.ndarray | None) -> None:
    """Put the best possible error at its rank into every row, and its own error over it; s: all singular values of the
    product over its norm, None where they are not known."""
    for row in rows:
        row["optimality_ratio"] = None
        if s is None:
            continue
        error = row["error"]["relative"]
        low = min(error, math.sqrt(float(np.square(s[row["rank"] :].astype(np.float64)).sum())))
        row["optimal"] = {"relative_lower": low, "relative_upper": low, "failure_probability": None}
        row["optimality_ratio"] = error / low if low else (1.0 if error == 0 else None)


def _total(row: dict[str, Any]) -> int:
    return int(row["flops"]["find"] + row["flops"]["multiply"])


def advice(rows: list[dict[str, Any]], exact: int, tolerance: bool) -> list[str]:
    """What the rows say of column-row sampling: whether any scheme is cheaper than the product and does what was asked,
    and whether something else does so for no more flops."""
    sampled = [row for row in rows if row["method"] == "cr"]
    met = [row for row in sampled if row["status"] == "converged"]
    if not met:
        return ["No sample met the tolerance: take the exact product, or what met it."]
    cheaper = [row for row in met if _total(row) < exact]
    if not cheaper:
        return ["Every scheme that did what was asked costs more than the exact product."]

    def worth(row: dict[str, Any]) -> tuple[float, float]:
        error, total = row["error"]["relative"], _total(row)
        return (total, error) if tolerance else (error, total)

    best = min(cheaper, key=worth)
    if best["error"]["relative"] >= 1:
        return ["No sample that is cheaper than the product is better than the zero matrix."]
    said = []
    for row in rows:
        better = row["status"] == "converged" if tolerance else row["error"]["relative"] < best["error"]["relative"]
        if row["method"] != "cr" and better and _total(row) <= _total(best):
            said.append(f"{row['structure']} does better than {best['structure']}, for no more flops.")
    share = _total(best) / exact
    return said or [f"{best['structure']} is the sample to take: {share:.2g} of the flops of the exact product."]
