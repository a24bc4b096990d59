"""Reports as tab-separated lines under one header. Numbers read back to the same value; unknown is empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import Style
from .text import safe


def render(reports: Sequence[dict[str, Any]], style: Style) -> str:
    return "".join("\t".join(line) + "\n" for line in cells(reports))


def cells(reports: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A header line, then one line per report (list: per entry; info of a container: per matrix; spectrum: per
    singular value)."""
    lines = [line for report in reports for line in _lines(report)]
    if not lines:
        return []
    header = list(dict.fromkeys(name for line in lines for name in line))
    return [header, *([_cell(line.get(name)) for name in header] for line in lines)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, (int, float)) else safe(value)


def _lines(report: dict[str, Any]) -> list[dict[str, Any]]:
    command = report["command"]
    if "message" in (report.get("error") or {}):
        return [{"file": (report.get("run") or {}).get("input_path"), "status": "failed"}]
    if command == "batch":
        return [line for row in report["rows"] for line in _in_batch(row)]
    if command == "info":
        return _info(report)
    if command == "list":
        return [dict(entry) for what in ("methods", "formats") for entry in report.get(what, ())]
    if command == "spectrum":
        return _spectrum(report)
    if command == "plan":
        return _plan(report)
    if command == "compare":
        return _compare(report)
    if command == "pinv":
        return [_pinv(report)]
    if command == "norm":
        return _norm(report)
    if command == "msign":
        return [_msign(report)]
    if command == "doctor":
        return [dict(check) for check in report["checks"]]
    if command == "warmup":
        return [{"kernel": name} for name in report["kernels"]]
    if command == "verify":
        run = report.get("run") or {}
        held = {name: report.get(name) for name in ("holds", "claimed", "measured", "reason")}
        return [{"file": run.get("input_path"), "against": run.get("against_path"), **held}]
    if command == "recompress":
        total = report.get("total") or {}
        more = {f"total_{name}": total.get(name) for name in ("relative", "absolute", "failure_probability")}
        return [_approximation(report) | more]
    return [_approximation(report) | _certainty(report)]


def _in_batch(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of one input among others: each names its matrix, where a lone one need not."""
    named = {"file": (report.get("run") or {}).get("input_path"), "item": (report.get("input") or {}).get("item")}
    return [line if "file" in line else line | named for line in _lines(report)]


def _spectrum(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a singular value, numbers only, as plotting programs like them."""
    columns = {"value": "values", "radius": "radii", "energy": "energy", "tail": "tail"}
    lists = [report[key] for key in columns.values()]
    return [
        dict(zip(("index", *columns), (i, *line), strict=True)) for i, line in enumerate(zip(*lists, strict=True), 1)
    ]


def _plan(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a rank of the curve, then one an answer; numbers of the curve come first, as plotting programs like."""
    first = {"asked": "curve", "value": None, "ratio": None, "worth": None, "note": None}
    answers = [{k: v for k, v in answer.items() if k != "predicted"} for answer in report["answers"]]
    return [point | first for point in report["curve"]] + answers


def _pinv(report: dict[str, Any]) -> dict[str, Any]:
    run, solution = report.get("run") or {}, report["solution"] or {}
    line = {"file": run.get("input_path"), "item": report["input"]["item"], "command": "pinv"}
    line |= _matrix(report["input"]) | {name: report[name] for name in ("method", "status", "rank", "condition")}
    line |= report["rule"] | {"ridge": report["options"]["ridge"]}
    line |= {f"penrose_{name}": value for name, value in report["penrose"].items()}
    line |= {f"norm_{name}": value for name, value in report["norms"].items()}
    line |= {f"solution_{n}": solution.get(n) for n in ("norm", "residual", "residual_relative", "gradient_relative")}
    line |= {f"ledger_{name}": value for name, value in report["ledger"].items()}
    return line | {"seed": report["seed"], "seconds": run.get("seconds"), "output": run.get("output")}


def _compare(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a structure."""
    path = (report.get("run") or {}).get("input_path")
    marks = ("optimality_ratio", "pareto")
    return [
        {"structure": row["structure"], **_approximation(row), "file": path}
        | {name: row[name] for name in marks}
        | _own(row)
        for row in report["rows"]
    ]


def _own(row: dict[str, Any]) -> dict[str, Any]:
    """What rows of one kind of comparison have and those of the other have not."""
    if "flops" not in row:
        return {"max_abs_Z": row["method_facts"].get("max_abs_Z")}
    predicted = {name: row["method_facts"].get(name) for name in ("predicted_relative", "predicted_kind")}
    return predicted | {f"flops_{name}": count for name, count in row["flops"].items()}


def _norm(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a norm, then one an effective rank; what is known of the gradient in columns of their own."""
    path = (report.get("run") or {}).get("input_path")
    found = [{"file": path, "item": report["input"]["item"], **row} for row in report["norms"]]
    for name, value in (report.get("effective_ranks") or {}).items():
        lower, upper = report["intervals"][name]
        kind = "exact" if lower == upper else "interval"
        line = {"norm": f"rank {name}", "value": value, "lower": lower, "upper": upper, "kind": kind}
        found.append({"file": path, "item": report["input"]["item"], **line})
    if report.get("gradient"):
        facts = {f"gradient_{name}": value for name, value in report["gradient"].items() if name != "warning"}
        found = [line | facts if line["norm"] == "spectral" else line for line in found]
    return found


def _msign(report: dict[str, Any]) -> dict[str, Any]:
    run, apart = report.get("run") or {}, report["distance"] or {}
    line = {"file": run.get("input_path"), "item": report["input"]["item"], **_matrix(report["input"])}
    measured = ("orthogonality", "backward_error", "numeric_rank", "condition", "resolved", "deviation")
    line |= {name: report[name] for name in ("method", "status", "rank", "iterations", *measured)}
    line |= {f"distance_{norm}": apart.get(norm) for norm in ("fro", "spectral")}
    line |= {f"ledger_{name}": value for name, value in report["ledger"].items()}
    return line | {"seconds": run.get("seconds"), "output": run.get("output")}


def _approximation(report: dict[str, Any]) -> dict[str, Any]:
    run = report.get("run") or {}
    line = {"file": run.get("input_path"), "item": report["input"]["item"], "command": report["command"]}
    line |= _matrix(report["input"]) | _result(report)
    line |= {f"ledger_{name}": value for name, value in report["ledger"].items()}
    return line | {"seed": report["seed"], "seconds": run.get("seconds"), "output": run.get("output")}


def _certainty(report: dict[str, Any]) -> dict[str, Any]:
    """How often a bound may be wrong, and what encloses the best error there is."""
    optimal = report.get("optimal") or {}
    line = {"error_failure_probability": (report.get("error") or {}).get("failure_probability")}
    return line | {f"optimal_{end}": optimal.get(f"relative_{end}") for end in ("lower", "upper")}


def _matrix(item: dict[str, Any]) -> dict[str, Any]:
    shape = item["shape"] or ()
    # an array of more dimensions has no columns: its shape is in the other faces
    dims = [*shape, None, None][:2] if len(shape) <= 2 else [None, None]
    return {"rows": dims[0], "cols": dims[1], "dtype": item["dtype"], "nnz": item["nnz"], "bytes": item["bytes"]}


def _result(report: dict[str, Any]) -> dict[str, Any]:
    """The columns of a result; all there, and empty, when there is none."""
    error, compression = report.get("error") or {}, report.get("compression") or {}
    line: dict[str, Any] = {name: report.get(name) for name in ("method", "status", "rank")}
    for name in ("norm", "relative", "absolute", "kind"):
        line[f"error_{name}"] = error.get(name)
    for name in ("bytes_in", "bytes_out", "ratio", "apply_flops_ratio"):
        line[name] = compression.get(name)
    return line


def _info(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Saved factors are one line, whatever arrays they have; a container of matrices one line each."""
    path = (report.get("run") or {}).get("input_path")
    first = {"file": path, "item": None, "format": report.get("format"), "kind": None}
    if "factors" in report:
        facts, stored = report["factors"], report.get("stored") or {}
        whole = {"shape": facts["shape"], "dtype": None, "nnz": None, "bytes": facts["bytes"]}
        return [first | {"kind": facts["kind"]} | _matrix(whole) | _result({"rank": facts["rank"], **stored})]
    return [first | {"item": item["path"]} | _matrix(item) | _result({}) for item in report["items"]]
