"""One budget for a whole batch: every matrix is looked at first, then each gets its rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import Exit, UsageError
from ..options import described, flag
from . import batch, shared
from .command import Param, Values
from .inputs import Input
from .params import real, size
from .terminal import Terminal

if TYPE_CHECKING:
    from ..algorithms.allotment import Allotment, Priced

PARAMS = (
    Param(
        "total_bytes",
        "Bytes that the factors of all inputs may take together, such as 10M: ranks go where they lower the total "
        "error most (svd).",
        ("--total-bytes",),
        "SIZE",
        "Batch",
    ),
    Param(
        "total_rtol",
        "Relative Frobenius error of all inputs together, reached with the fewest bytes (svd).",
        ("--total-rtol",),
        "X",
        "Batch",
    ),
)
#: What else says how good or how dear one matrix is to be, and what is no matrix that a curve is known of.
_ALONE = (*described(Budget), "single_pass", "kernel")
#: The measured error may be so much above that of the curve: it is of another factorization of the same rank.
_MARGIN = 1e-3

Ranked = Callable[[Input, int, int, Terminal], batch.Result]


@dataclasses.dataclass(frozen=True)
class Asked:
    """One of the two, for all matrices together."""

    size: int | None = None
    rtol: float | None = None

    @property
    def fact(self) -> dict[str, Any]:
        return {"bytes": self.size} if self.size is not None else {"rtol": self.rtol}


def asked(method: str, values: Values) -> Asked | None:
    """The budget for all that was asked for. Raises UsageError where it makes no sense."""
    given = [name for name in ("total_bytes", "total_rtol") if values.get(name) is not None]
    if not given:
        return None
    if len(given) > 1:
        raise UsageError("--total-bytes and --total-rtol contradict each other", hint="give one of them")
    name = given[0]
    if method != "svd":
        raise UsageError(f"{flag(name)} allots ranks of --method svd, not {method}", hint="give each its --rank")
    for other in _ALONE:
        if values.get(other) not in (None, False):
            raise UsageError(f"{flag(name)} and {flag(other)} contradict each other", hint="give one of them")
    if name == "total_bytes":
        return Asked(size=size(values[name], name))
    rtol = real(values[name], name)
    if not 0 < rtol < 1:
        raise UsageError(f"--total-rtol must be above 0 and below 1, not {values[name]}")
    return Asked(rtol=rtol)


def run(how: batch.Plan, inputs: Sequence[Input], ask: Asked, seed: int, ranked: Ranked, terminal: Terminal) -> int:
    """Look at all inputs, allot their ranks, then work through them with ``ranked(input, rank, threads, terminal)``.

    An input that cannot be read ends all, or with keep_going is left out of the budget. The exit code is 3 when the
    budget, as measured, was not kept.
    """
    if any(one.path == shared.STDIN for one in inputs):
        raise UsageError("a budget for all reads each input twice", hint="save standard input as a file first")
    curves = _curves(how, inputs, ask, seed, terminal)
    for given, curve in zip(inputs, curves, strict=True):
        if isinstance(curve, Exception) and not how.keep_going:
            code, report = batch.failure(how, given, curve, terminal)
            if how.at_once:
                terminal.show("jsonl", [report])
            return code
    whole = [i for i, curve in enumerate(curves) if not isinstance(curve, Exception)]
    ranks: dict[int, int] = {}
    if whole:
        allotted, curves = _allot(how, inputs, curves, ask, seed, terminal)
        ranks = dict(zip(whole, allotted.ranks, strict=True))

    def one(given: Input, threads: int, terminal: Terminal) -> batch.Result:
        curve = curves[given.number]
        if isinstance(curve, Exception):
            raise curve
        return ranked(given, ranks[given.number], threads, terminal)

    def total(reports: Sequence[dict[str, Any]]) -> tuple[dict[str, Any] | None, int, str]:
        from ..analysis.allotment import total as summed

        done = [i for i in whole if i < len(reports) and "input" in reports[i]]
        if not done:
            return None, Exit.DONE, ""
        found = summed([reports[i] for i in done], [curves[i] for i in done], allotted, ask.fact)  # type: ignore[misc]
        relative = found["error"]["relative"]
        said = "" if found["met"] else f"the budget for all was not kept (relative error {relative:.6g} in all)"
        return found, Exit.DONE if found["met"] else Exit.BOUND_MISSED, said

    return batch.run(how, inputs, one, terminal, total)


def _curves(
    how: batch.Plan,
    inputs: Sequence[Input],
    ask: Asked,
    seed: int,
    terminal: Terminal,
    ranks: dict[int, int] | None = None,
) -> list[Priced | Exception]:
    """The error curve of each input, or what went wrong; ranks: how far, by number, where that is known."""
    from ..analysis.allotment import priced

    def one(given: Input, threads: int, terminal: Terminal) -> Priced:
        # what the reader has to say is told when the factors are made
        with batch.patience(terminal, f"spectrum of {given.name}"):
            loaded = shared.load(given.path, given.item, dataclasses.replace(terminal, quiet=True))
            loaded = dataclasses.replace(loaded, watch=terminal.watch)
            deep: dict[str, Any] = {"rank": ranks[given.number]} if ranks else {"rtol": ask.rtol}
            if not ranks and ask.size is not None:
                deep = {"size": max(1, 2 * ask.size // len(inputs))}
            return priced(loaded, **deep, seed=seed, threads=threads, blas_pinned=terminal.blas_pinned)

    return [done for _, _, done in batch.outcomes(how, inputs, one, terminal)]


def _allot(
    how: batch.Plan,
    inputs: Sequence[Input],
    curves: list[Priced | Exception],
    ask: Asked,
    seed: int,
    terminal: Terminal,
) -> tuple[Allotment, list[Priced | Exception]]:
    """Ranks for all, with curves followed further where a rank comes to the end of one."""
    from ..algorithms.allotment import allot

    rtol = None if ask.rtol is None else ask.rtol * (1 - _MARGIN)
    while True:
        whole = [(i, curve) for i, curve in enumerate(curves) if not isinstance(curve, Exception)]
        allotted = allot([curve for _, curve in whole], size=ask.size, rtol=rtol)
        short = {whole[j][0]: 2 * (len(whole[j][1].errors) - 1) for j in allotted.short}
        if not short:
            return allotted, curves
        further = [inputs[i] for i in short]
        found = _curves(how, further, ask, seed, terminal, short)
        curves = list(curves)
        for i, curve in zip(short, found, strict=True):
            if isinstance(curve, Exception):
                raise curve
            curves[i] = curve
