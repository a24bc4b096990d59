"""Sums and products of saved factors, truncated: the factors, and a report of what that cost in accuracy."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..api import described, tiled
from ..budget import Budget
from ..engines.threads import SerialEngine
from ..errors import InputError, UsageError
from ..lazy import np

if TYPE_CHECKING:
    from ..algorithms.outcome import Outcome
    from ..algorithms.recompress import Term
    from ..certificates.inherited import Inherited
    from ..formats.loaded import Loaded
    from ..formats.saving import Saved


@dataclasses.dataclass(frozen=True, eq=False)
class _Operand:
    """An input: the matrices whose product it is, what its own report claims, and its line in the report. norm: of a
    matrix, which has no factors."""

    chain: list[Any]
    dtype: Any
    claims: Inherited | None
    about: dict[str, Any]
    name: str
    norm: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.chain[0].shape[0]), int(self.chain[-1].shape[1])


def recompress(
    inputs: Sequence[Saved | Loaded],
    budget: Budget,
    *,
    product: bool = False,
    scale: Sequence[float] | None = None,
    blas_pinned: bool = False,
) -> tuple[Outcome, dict[str, Any]]:
    """The truncated SVD of F = a_1 F_1 + a_2 F_2 + ..., or with product of a_1 F_1 F_2 + a_2 F_3 F_4 + ..., and its
    report without the ``run`` block.

    inputs: saved factors; with product also matrices. scale: the weights a, default 1. ``error`` is the measured
    |F - G| over |F|; ``total`` a bound of the error against the matrices that the factors came from, by the triangle
    inequality, None where some input claims no error in that norm. Raises UsageError (shapes, counts, rank, tolerance),
    InputError (NaN, Inf), NumericalError.
    """
    from ..algorithms.recompress import recompress as run
    from ..certificates import inherited
    from ..engines.blas import single_threaded

    if budget.certify not in (None, "exact"):
        raise UsageError("the error of recompressed factors is always measured", hint="leave --certify out")
    budget = budget.with_defaults()
    with single_threaded(blas_pinned):
        operands = [_operand(one, budget.norm) for one in inputs]
        groups = _groups(operands, product)
        weights = [1.0] * len(groups) if scale is None else list(scale)
        if len(weights) != len(groups):
            raise UsageError(
                f"--scale has {len(weights)} weights for {len(groups)} terms", hint="give one weight for each term"
            )
        terms = [_term(group, weight) for group, weight in zip(groups, weights, strict=True)]
        _check_sum(terms, groups)
        claims = [_claims(group, weight) for group, weight in zip(groups, weights, strict=True)]
        outcome = run(terms, budget, SerialEngine())
    found = outcome.certificate
    bound = inherited.total(claims, budget.norm, found.matrix_norm or 0.0, found.absolute)
    return outcome, _report(outcome, operands, budget, bound, {"product": product, "scale": weights})


def _operand(one: Saved | Loaded, norm: str) -> _Operand:
    from ..algorithms.recompress import chain_of
    from ..certificates.inherited import EXACT, of_report
    from ..factors.base import Factorization
    from ..formats.saving import Saved

    if not isinstance(one, Saved):
        A = tiled(one, SerialEngine())
        size = A.sweep().norm
        return _Operand([one.array], one.array.dtype, EXACT, described(one, A, True), one.source, size)
    factor = one.factor
    if not isinstance(factor, Factorization):
        raise UsageError(
            f"{factor.kind} ({factor.product}) is no product of two factors",
            where=one.path,
            hint="lowrank reconstruct makes its matrix, lowrank approx factors that",
        )
    if not all(np.all(np.isfinite(getattr(a, "data", a) if hasattr(a, "indptr") else a)) for a in _values(factor)):
        raise InputError("its factors have entries that are not finite", where=one.path, hint="make them anew")
    about = {
        "item": None,
        "shape": list(factor.shape),
        "dtype": str(factor.dtype),
        "nnz": None,
        "bytes": factor.nbytes,
        "digest": _digest(one.digests),
        "kind": factor.kind,
        "rank": factor.rank,
    }
    return _Operand(chain_of(factor), factor.dtype, of_report(one.report, norm), about, one.path)


def _values(factor: Any) -> list[Any]:
    return list(factor.arrays().values())


def _digest(parts: dict[str, str]) -> str:
    text = ",".join(f"{name}={value}" for name, value in sorted(parts.items()))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _groups(operands: list[_Operand], product: bool) -> list[list[_Operand]]:
    """The terms of the sum: one factorization each, or two operands that are multiplied."""
    if not product:
        return [[one] for one in operands]
    if len(operands) % 2:
        raise UsageError(
            f"--product multiplies two by two, and there are {len(operands)}", hint="give F1 F2, F3 F4 ..."
        )
    pairs = [operands[i : i + 2] for i in range(0, len(operands), 2)]
    for first, second in pairs:
        if first.shape[1] != second.shape[0]:
            (m, l), (k, n) = first.shape, second.shape
            raise UsageError(
                f"the shapes do not chain: {m}x{l} times {k}x{n}",
                where=f"{first.name} {second.name}",
                hint="the columns of the first must be as many as the rows of the second",
            )
    return pairs


def _term(group: list[_Operand], weight: float) -> Term:
    from ..algorithms.recompress import term

    return term([X for one in group for X in one.chain], np.result_type(*[one.dtype for one in group]), weight)


def _check_sum(terms: list[Term], groups: list[list[_Operand]]) -> None:
    for made, group in zip(terms, groups, strict=True):
        if made.shape != terms[0].shape:
            (m, n), (p, q) = terms[0].shape, made.shape
            raise UsageError(
                f"makes a {p}x{q} matrix, the first a {m}x{n} one, so they cannot be added",
                where=" ".join(one.name for one in group),
            )


def _claims(group: list[_Operand], weight: float) -> Inherited | None:
    from ..certificates.inherited import of_product

    if len(group) == 1:
        return None if group[0].claims is None else group[0].claims.scaled(weight)
    first, second = (one.claims for one in group)
    if first is None or second is None:
        return None
    sizes = (_spectral(group[0]) if second.absolute else 0.0, _spectral(group[1]) if first.absolute else 0.0)
    found = of_product(first, second, sizes)
    return None if found is None else found.scaled(weight)


def _spectral(operand: _Operand) -> float:
    """The spectral norm of factors; of a matrix, the Frobenius norm, which is no smaller."""
    from ..algorithms.recompress import term

    return operand.norm if len(operand.chain) == 1 else term(operand.chain, operand.dtype).spectral()


def _report(
    outcome: Outcome, operands: list[_Operand], budget: Budget, bound: dict[str, Any] | None, how: dict[str, Any]
) -> dict[str, Any]:
    from ..reports import facts

    inputs = [one.about for one in operands]
    m, n = outcome.factor.shape
    whole = inputs[0] if len(inputs) == 1 else {
        "item": None,
        "shape": [m, n],
        "dtype": str(outcome.factor.dtype),
        "nnz": None,
        "bytes": sum(one["bytes"] for one in inputs),
        "digest": _digest({str(i): str(one["digest"]) for i, one in enumerate(inputs)}),
    }  # fmt: skip
    report = facts.approximation("recompress", "recompress", whole, {}, budget, None, 0, outcome)
    before = 2 * sum(int(X.nnz) if hasattr(X, "indptr") else int(X.size) for one in operands for X in one.chain)
    report["compression"]["apply_flops_ratio"] = before / outcome.factor.apply_flops
    for name in ("certify", "failure_probability"):
        del report["options"][name]
    return report | facts.plain(
        {"inputs": inputs, "total": bound, "seed": None, "options": {**report["options"], **how}}
    )
