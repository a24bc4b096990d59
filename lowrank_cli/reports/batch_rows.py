"""The lines of a batch: one an input under one heading, what failed, and the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .rows import Row
from .text import number, safe, shape, size


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of a batch; see ``reports.rows.rows``."""
    done = [row for row in report["rows"] if not _failed(row)]
    header, cells = _TABLES.get(report["of"], _TABLES["approx"])
    lines = [header, *(cells(row, full) for row in done)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    laid = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    texts = iter(laid[1:])
    yield Row("", laid[0])
    for row in report["rows"]:
        if not _failed(row):
            said = _remark(row)
            yield Row(_name(row), next(texts), said, "warning" if said else "")
        else:
            yield Row(_name(row), "failed", safe(row["error"]["message"]), "warning")
    yield from _whole(report, full)
    yield from _counts(report, full)


def _failed(row: dict[str, Any]) -> bool:
    return "message" in (row.get("error") or {})


def _name(row: dict[str, Any]) -> str:
    """The path as it was given, and the item that was taken where the path does not say it."""
    path, item = (row.get("run") or {}).get("input_path") or "", (row.get("input") or {}).get("item")
    return safe(path if item is None or path.endswith(f":{item}") else f"{path}:{item}")


def _remark(row: dict[str, Any]) -> str:
    """What a reader must not miss of one input."""
    if "holds" in row:
        return "" if row["holds"] else safe(row.get("reason") or "does not hold")
    if row["status"] != "converged":
        return safe(row["status"])
    return "larger than the matrix" if ((row.get("compression") or {}).get("ratio") or 1) < 1 else ""


def _approximation(row: dict[str, Any], full: bool) -> tuple[str, ...]:
    numbers, error = row["compression"], row["error"]
    sign = "<= " if error["kind"] == "bound" else ""
    return (
        str(row["rank"]),
        sign + number(error["relative"], full) if error["relative"] is not None else "not measured",
        size(numbers["bytes_out"], full),
        "" if numbers["ratio"] is None else number(numbers["ratio"], full) + " x",
        _seconds(row, full),
    )


def _spectrum(row: dict[str, Any], full: bool) -> tuple[str, ...]:
    norms, ranks = row["norms"], row["effective_ranks"]
    rank = row["numeric_rank"]
    return (
        shape(row["input"]["shape"]),
        number(norms["spectral"], full),
        number(norms["fro"], full),
        "" if rank is None else str(rank),
        number(ranks["stable"], full) if "stable" in ranks else "",
        _seconds(row, full),
    )


def _verdict(row: dict[str, Any], full: bool) -> tuple[str, ...]:
    measured = "" if row["measured"] is None else number(row["measured"], full)
    return number(row["claimed"], full), measured, "yes" if row["holds"] else "NO", _seconds(row, full)


def _seconds(row: dict[str, Any], full: bool) -> str:
    seconds = (row.get("run") or {}).get("seconds")
    return "" if seconds is None else f"{number(seconds, full) if full else f'{seconds:.2f}'} s"


#: The command -> its heading, and the cells of one report.
_TABLES: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any], bool], tuple[str, ...]]]] = {
    "approx": (("rank", "error", "bytes", "smaller", "time"), _approximation),
    "spectrum": (("shape", "s_1", "Frobenius", "numeric rank", "stable rank", "time"), _spectrum),
    "verify": (("claimed", "measured", "holds", "time"), _verdict),
}


def _whole(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """All matrices as one, where they had one budget."""
    total = report.get("total")
    if not total:
        return
    asked, numbers = total["asked"], total["compression"]
    wanted = size(asked["bytes"], full) if "bytes" in asked else f"relative error {number(asked['rtol'], full)}"
    tone = "good" if total["met"] else "warning"
    yield Row("asked in all", wanted, "" if total["met"] else "The budget was not kept.", tone)
    known = "exact: measured" if total["error"]["kind"] == "exact" else "an upper bound"
    yield Row("error in all", number(total["error"]["relative"], full), f"relative, Frobenius norm, {known}")
    least = number(total["optimal"]["relative_lower"], full)
    yield Row("best possible", f"at least {least}", "Smallest relative error of any ranks in the same bytes.")
    ratio = f"{number(numbers['ratio'], full)} x"
    yield Row(
        "bytes in all", size(numbers["bytes_out"], full), f"{ratio} smaller than {size(numbers['bytes_in'], full)}"
    )


def _counts(report: dict[str, Any], full: bool) -> Iterator[Row]:
    told, failed = len(report["rows"]), report["failed"]
    seconds = _seconds(report, full)
    yield Row("inputs", f"{told - failed} of {report['inputs']} done", seconds)
    if failed:
        yield Row("failed", str(failed), "", "warning")
    if told < report["inputs"]:
        left = report["inputs"] - told
        yield Row("not tried", str(left), "The batch ended at the first failure; --keep-going goes on.", "warning")
