"""How much rank buys how much accuracy for how many bytes: what to ask ``approx`` for, before asking."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import UsageError
from ..lazy import np
from ..streams import STREAM, Streams

if TYPE_CHECKING:
    from ..algorithms.plan import Curve
    from ..formats.loaded import Item, Loaded

#: What is answered when nobody asks for anything: from data, and from a header alone.
DEFAULT_RTOLS = (0.1, 0.01, 0.001)
DEFAULT_RATIOS = (10.0, 2.0)
#: Floating point operations a second that LAPACK's decomposition does, as a share of those of a product.
_LAPACK_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of a matrix and of its truncated SVD of rank k, in memory. value: bytes of a stored value, real: of its real
    part, working: of a value computed with; entries: stored ones."""

    shape: tuple[int, int]
    entries: int
    bytes_in: int
    working_bytes: int
    itemsize: int
    real: int

    def bytes(self, k: int) -> int:
        """U (m, k), s (k), Vh (k, n)."""
        return k * (sum(self.shape) * self.itemsize + self.real)

    def apply_flops(self, k: int) -> int:
        """Of one product of the factors with a vector, as ``Factorization.apply_flops`` counts them."""
        return 2 * k * sum(self.shape)

    def fitting(self, budget: float) -> int:
        """The largest rank whose factors take at most so many bytes; 0 when not even rank 1 does."""
        return min(int(budget // self.bytes(1)), min(self.shape))

    def point(self, k: int, error: float | None) -> dict[str, Any]:
        """One point of the curve."""
        return {"rank": k, "error": error, "bytes": self.bytes(k), "apply_flops": self.apply_flops(k)}

    @property
    def break_even(self) -> dict[str, Any]:
        """rank = m n / (m + n), where dense factors hold as many numbers as the dense matrix; bytes_rank and
        apply_rank: the largest ranks whose factors are smaller, and cheaper to apply, than the matrix as it is."""
        m, n = self.shape
        return {
            "rank": m * n / (m + n),
            "bytes_rank": min((self.bytes_in - 1) // self.bytes(1), min(m, n)),
            "apply_rank": min((2 * self.entries - 1) // self.apply_flops(1), min(m, n)),
        }


def check(rtols: Sequence[float], bytes_: Sequence[int], ratios: Sequence[float]) -> None:
    """Raise UsageError for a tolerance, a number of bytes or a ratio that makes no sense."""
    for rtol in rtols:
        Budget(rtol=rtol)
    for count in bytes_:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"--bytes must be a whole number of at least 1, not {count!r}")
    for ratio in ratios:
        if not (math.isfinite(ratio) and ratio > 0):
            raise UsageError(f"--ratio must be a finite number above 0, not {ratio!r}")


def plan(
    matrix: Loaded,
    *,
    rtols: Sequence[float] = (),
    bytes_: Sequence[int] = (),
    ratios: Sequence[float] = (),
    seed: int = 0,
    threads: int = 1,
    blas_pinned: bool = False,
) -> dict[str, Any]:
    """The report of a plan: ``curve`` (rank, relative Frobenius error, bytes, flops of a product with a vector, of the
    truncated SVD), ``break_even`` ranks, and ``answers``: the smallest rank for each relative tolerance, the best rank
    for each number of bytes and each compression ratio, with what a run at that rank will take.

    With no questions: tolerances 0.1, 0.01 and 0.001, as far as a basis of 512 columns tells. ``run`` holds what
    depends on the machine, ``predicted_seconds`` of each answer; it is not for storing. Raises UsageError (a question
    that makes no sense), InputError (NaN, Inf), NumericalError, ResourceError. Cost: one factorization and one pass.
    """
    from .. import api
    from ..algorithms.needs import within
    from ..algorithms.plan import Wanted, needs_of, trace
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for
    from ..matrices.metered import Metered

    check(rtols, bytes_, ratios)
    streams, engine = Streams(seed), engine_for(threads)
    modest = not (rtols or bytes_ or ratios)
    asked_rtols = DEFAULT_RTOLS if modest else tuple(rtols)
    A = api.tiled(matrix, engine)
    sizes = sizes_of(matrix, A.nnz)
    # what fits only because the matrix itself fits is not worth a larger factorization
    budgets = [*bytes_, *(sizes.bytes_in / ratio for ratio in ratios)]
    ranks = [sizes.fitting(b) for b in budgets if b < sizes.bytes_in]
    metered = Metered(A)
    wanted = Wanted(asked_rtols, [k for k in ranks if k], modest, sizes.break_even["bytes_rank"])
    A.watch.expects(
        within(lambda have: needs_of(A, wanted, have), [A], "the plan", matrix.where, ", or --dry-run"), None
    )
    with single_threaded(blas_pinned):
        curve = trace(metered, wanted, streams)
        rate = _product_rate(matrix.array.dtype)
        described = api.described(matrix, A, True)
    questions = _questions(asked_rtols, bytes_, ratios)
    answers = [_answer(asked, value, sizes, curve) for asked, value in questions]
    points = [sizes.point(k, float(curve.errors[k])) for k in range(1, curve.useful + 1)]
    report = _report(described, sizes, "exact", points, _end(curve, sizes), answers)
    report |= {"ledger": dataclasses.asdict(metered.ledger), "method_facts": {"kernels": curve.kernels}, "seed": seed}
    seconds = [_seconds(a, sizes, rate) for a in answers]
    return _plain(report, _here(answers, sizes) | {"predicted_seconds": seconds, "product_flops": rate})


def plan_from_header(item: Item, *, bytes_: Sequence[int] = (), ratios: Sequence[float] = ()) -> dict[str, Any]:
    """The report of a plan from shape and dtype alone; every ``error`` in it is None, and no time is predicted.

    With no questions: ratios 10 and 2. Raises UsageError (a question that makes no sense) and InputError (not a
    matrix, or a dtype that cannot be computed with).
    """
    from ..errors import InputError
    from ..formats.working import computed_dtype, matrix_shape

    check((), bytes_, ratios)
    where = item.path or "the header"
    shape = matrix_shape(item.shape, where)
    computed = computed_dtype(item.dtype)
    if computed is None:
        raise InputError(f"holds {item.dtype}, which are no numbers we compute with", where=where)
    entries = shape[0] * shape[1] if item.nnz is None else item.nnz
    sizes = _sizes(shape, entries, item.nnz is not None, item.bytes, computed)
    asked_ratios = DEFAULT_RATIOS if not (bytes_ or ratios) else tuple(ratios)
    answers = [_answer(asked, value, sizes, None) for asked, value in _questions((), bytes_, asked_ratios)]
    about = {"item": item.path, "shape": list(shape), "dtype": item.dtype, "nnz": item.nnz, "bytes": item.bytes}
    points = [sizes.point(k, None) for k in _round_ranks(sizes)]
    report = _report({**about, "digest": None}, sizes, "none", points, "break-even", answers)
    return _plain(report, _here(answers, sizes))


def _questions(rtols: Sequence[float], bytes_: Sequence[int], ratios: Sequence[float]) -> list[tuple[str, float | int]]:
    return [*(("rtol", x) for x in rtols), *(("bytes", x) for x in bytes_), *(("ratio", x) for x in ratios)]


def sizes_of(matrix: Loaded, nnz: int | None) -> Sizes:
    entries = matrix.shape[0] * matrix.shape[1] if nnz is None else nnz
    return _sizes(matrix.shape, entries, nnz is not None, matrix.item.bytes, matrix.array.dtype)


def _sizes(shape: tuple[int, int], entries: int, sparse: bool, stored: int, dtype: Any) -> Sizes:
    width = int(np.dtype(dtype).itemsize)
    # a sparse matrix is held a second time, transposed, with an index beside each value
    working = 2 * (entries * (width + 4) + 4 * (max(shape) + 1)) if sparse else entries * width
    return Sizes(shape, entries, stored, working, width, width // 2 if np.dtype(dtype).kind == "c" else width)


def _answer(asked: str, value: float | int, sizes: Sizes, curve: Curve | None) -> dict[str, Any]:
    """The rank for one question, its price, and in words why there is none or why it does not pay."""
    least: int | None = None
    if asked == "rtol":
        assert curve is not None
        rank, least = curve.rank_for(float(value)), curve.least_rank_for(float(value))
        note = "" if rank is not None else _unreached(curve, least)
    else:
        budget = value if asked == "bytes" else sizes.bytes_in / value
        rank, note = _fitting(budget, sizes, curve)
    answer: dict[str, Any] = {"asked": asked, "value": value, "rank": rank, "rank_least": least, "error": None}
    if rank is None:
        # the least rank that can do it is dear already
        worth = False if least is not None and sizes.bytes(least) >= sizes.bytes_in else None
        note = note + "; " + _dear(least, sizes) if worth is False and least is not None else note
        return answer | {
            "bytes": None,
            "ratio": None,
            "apply_flops": None,
            "worth": worth,
            "note": note,
            "predicted": None,
        }
    price = sizes.bytes(rank)
    worth = price < sizes.bytes_in
    if not worth:
        note = "; ".join(part for part in (note, _dear(rank, sizes)) if part)
    elif not note and sizes.apply_flops(rank) >= 2 * sizes.entries:
        note = "saves bytes, but a product with the factors costs more than one with the matrix"
    return answer | {
        "error": None if curve is None else float(curve.errors[rank]),
        "bytes": price,
        "ratio": sizes.bytes_in / price,
        "apply_flops": sizes.apply_flops(rank),
        "worth": worth,
        "note": note,
        "predicted": _predicted(rank, sizes),
    }


def _fitting(budget: float, sizes: Sizes, curve: Curve | None) -> tuple[int | None, str]:
    """The rank with the least error whose factors fit, and the smallest such when rounding hides the difference."""
    fits = sizes.fitting(budget)
    if not fits:
        return None, f"not even rank 1 fits: its factors take {sizes.bytes(1)} bytes"
    note = "the matrix itself fits" if budget >= sizes.bytes_in else ""
    if curve is None:
        return fits, note
    if fits <= curve.useful:
        return fits, note
    if curve.exact:
        return curve.useful, note or "a higher rank would fit, but what is left is rounding"
    return curve.useful, note + (note and "; ") + f"a higher rank would fit; the curve ends at {curve.useful}"


def _unreached(curve: Curve, least: int) -> str:
    if curve.complete:
        return f"no rank has an error below {float(curve.errors[-1]):.3g}, which is rounding"
    return f"takes a rank of {max(least, curve.reach + 1)} or more, beyond the end of the curve"


def _dear(rank: int, sizes: Sizes) -> str:
    return f"not worth it: the factors take {sizes.bytes(rank)} bytes, the matrix {sizes.bytes_in}"


def _predicted(rank: int, sizes: Sizes) -> dict[str, Any]:
    """What ``approx --rank`` will take, in the words of ``algorithms.plan.Prediction``."""
    from ..algorithms.plan import predict

    seen = predict(sizes.shape, sizes.entries, sizes.working_bytes, sizes.itemsize, rank)
    passes = {"least": seen.least, "usual": seen.usual, "most": seen.most}
    return {"driver": seen.driver, "passes": passes, "memory": seen.memory, "parts": seen.parts}


def _here(answers: Sequence[dict[str, Any]], sizes: Sizes) -> dict[str, Any]:
    """What the run of each answer takes in the memory there is, where a matrix of more than half of it stays in its
    file and tall blocks go to scratch files; and whether that fits."""
    from ..algorithms.needs import triplets
    from ..algorithms.plan import predict
    from ..memory import available_memory

    have = available_memory()
    takes: list[int | None] = []
    for answer in answers:
        k = answer["rank"]
        if k is None:
            takes.append(None)
            continue
        made = predict(sizes.shape, sizes.entries, sizes.working_bytes, sizes.itemsize, k).driver
        # two buffers of an eighth each
        held = sizes.working_bytes if sizes.working_bytes <= have // 2 else have // 4
        takes.append(held + sum(triplets(made, sizes.shape, sizes.itemsize, k, 2, have).values()))
    return {"memory": have, "takes": takes, "fits": [None if need is None else need <= have for need in takes]}


def _round_ranks(sizes: Sizes) -> list[int]:
    """1, 2, 5, 10, ... and the break-even ranks."""
    end = sizes.break_even
    last = max(1, end["bytes_rank"])
    steps = {d * 10**e for e in range(len(str(last))) for d in (1, 2, 5)}
    ranks = {k for k in steps if k < last} | {last} | {k for k in (end["apply_rank"], int(end["rank"])) if k >= 1}
    return sorted(k for k in ranks if k <= min(sizes.shape))


def _end(curve: Curve, sizes: Sizes) -> str:
    if curve.useful >= min(sizes.shape):
        return "all ranks"
    return "rounding" if curve.exact else "basis"


def _report(
    matrix: dict[str, Any],
    sizes: Sizes,
    kind: str,
    curve: list[dict[str, Any]],
    ends: str,
    answers: list[dict[str, Any]],
) -> dict[str, Any]:
    from .. import __version__
    from ..reports.facts import started

    report = started("plan") | {"method": "svd", "input": matrix, "norm": "fro", "kind": kind}
    report |= {"break_even": sizes.break_even, "curve": curve, "curve_ends": ends, "answers": answers}
    return report | {"versions": {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM}}


def _plain(report: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    from ..reports.facts import plain

    return plain({**report, "run": run})


def _product_rate(dtype: Any) -> float:
    """Floating point operations a second of a small product in this dtype, here and now."""
    import time

    A, X = np.ones((512, 512), dtype), np.ones((512, 64), dtype)
    best = math.inf
    for _ in range(3):
        started = time.perf_counter()
        A @ X
        best = min(best, time.perf_counter() - started)
    return 2 * 512 * 512 * 64 / max(best, 1e-9)


def _seconds(answer: dict[str, Any], sizes: Sizes, rate: float) -> float | None:
    """About how long the run of an answer computes: its flops over the rate of a small product."""
    from ..algorithms.plan import predict

    if answer["rank"] is None:
        return None
    seen = predict(sizes.shape, sizes.entries, sizes.working_bytes, sizes.itemsize, answer["rank"])
    m, n = max(sizes.shape), min(sizes.shape)
    lapack = (4 * m * n**2 + 22 * n**3) / _LAPACK_SHARE if seen.driver == "lapack" else 0.0
    return (seen.products + seen.dense + lapack) / rate
