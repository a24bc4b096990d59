"""The report of a run as plain data, before any face: ARCHITECTURE.md section 6, "Report"."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..lazy import np
from ..streams import STREAM

if TYPE_CHECKING:
    from ..algorithms.outcome import Outcome
    from ..budget import Budget

SCHEMA = "lowrank.report/1"
#: How many chosen rows or columns a report lists; the factor file holds all.
FIRST_CHOSEN = 10


def plain(value: Any) -> Any:
    """``value`` as JSON can carry it: Python numbers, lists, dicts; None for a number that is not finite."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def versions() -> dict[str, str]:
    """What every report says it was made with."""
    return {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM}


def started(command: str) -> dict[str, Any]:
    """The first two keys of every report."""
    return {"schema": SCHEMA, "command": command}


def approximation(
    command: str,
    method: str,
    matrix_input: dict[str, Any],
    companions: Mapping[str, dict[str, Any]],
    budget: Budget,
    options: Any,
    seed: int,
    outcome: Outcome,
) -> dict[str, Any]:
    """The report of one approximation without its ``run`` block, so the same work gives the same report.

    matrix_input and the companions, each under its name, have the keys item, shape, dtype, nnz, bytes, digest; the
    companion ``times`` is the second factor of a product. options is the method's options dataclass, or None.
    """
    certificate, factor = outcome.certificate, outcome.factor
    report = started(command)
    report |= {"method": method, "status": outcome.status.value, "rank": factor.rank, "input": dict(matrix_input)}
    report |= {name: dict(companion) for name, companion in companions.items()}
    report |= {
        "error": {
            "norm": certificate.norm,
            "relative": certificate.relative,
            "absolute": certificate.absolute,
            "kind": certificate.kind,
            "relative_estimate": certificate.relative_estimate,
            "failure_probability": certificate.failure_probability,
            "probes": certificate.probes,
        },
        "optimal": {
            "relative_lower": certificate.optimal_lower,
            "relative_upper": certificate.optimal_upper,
            "failure_probability": certificate.optimal_failure_probability,
        },
        "compression": _compression(factor, matrix_input, companions.get("times")),
        "method_facts": {"kernels": [], **outcome.facts, **_chosen(factor)},
        "ledger": dataclasses.asdict(outcome.ledger),
        "options": {**dataclasses.asdict(budget), **({} if options is None else dataclasses.asdict(options))},
        "seed": seed,
        "versions": versions(),
    }
    return plain(report)


def with_run(
    report: dict[str, Any],
    *,
    argv: list[str] | None = None,
    input_path: str | None = None,
    output: str | None = None,
    seconds: float | None = None,
    bytes_read: int | None = None,
    threads: int | None = None,
    memory: int | None = None,
    engine: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The report with what is true of this run only; printed, never stored."""
    run = {"argv": argv, "input_path": input_path, "output": output, "seconds": seconds, "bytes_read": bytes_read}
    return {**report, "run": plain({**run, "threads": threads, "memory": memory, "engine": engine, **more})}


def batch(command: str, reports: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """The report of several inputs of one command: theirs, in order, and how many there were to be."""
    failed = sum("message" in (report.get("error") or {}) for report in reports)
    return {**started("batch"), "of": command, "inputs": count, "failed": failed, "rows": reports}


def _entries(matrix_input: dict[str, Any]) -> int:
    """Stored entries: what one product with a vector reads."""
    if matrix_input["nnz"] is not None:
        return int(matrix_input["nnz"])
    return math.prod(int(d) for d in matrix_input["shape"])


def _compression(factor: Any, matrix_input: dict[str, Any], times_input: dict[str, Any] | None) -> dict[str, Any]:
    """Bytes and flops before over after; of a product, before means both inputs kept and applied in turn."""
    inputs = [matrix_input] if times_input is None else [matrix_input, times_input]
    bytes_in, bytes_out = sum(int(i["bytes"]) for i in inputs), int(factor.nbytes)
    flops_in, flops_out = 2 * sum(_entries(i) for i in inputs), int(factor.apply_flops)
    return {
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "ratio": bytes_in / bytes_out if bytes_out else None,
        "apply_flops_ratio": flops_in / flops_out if flops_out else None,
    }


def _chosen(factor: Any) -> dict[str, Any]:
    """Which columns or rows of the matrix were chosen: how many, and the first few in order of choice."""
    arrays = factor.arrays()
    axes = [axis for axis in ("cols", "rows") if axis in arrays]
    if factor.kind not in ("id", "cur", "nystrom") or not axes:
        return {}
    return {"chosen": {a: {"count": int(arrays[a].size), "first": arrays[a][:FIRST_CHOSEN]} for a in axes}}
