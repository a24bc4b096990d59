"""A report as labelled lines for people: what the table and the Markdown face both show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ..companions import COMPANIONS
from ..registry import Entry
from .text import number, safe, shape, size

NORMS = {"fro": "Frobenius", "spectral": "spectral"}
KINDS = {
    "exact": "exact: measured against the matrix",
    "bound": "an upper bound",
    "estimate": "an estimate",
    "none": "not measured",
}


#: Reads of the matrix for each pass that are worth a warning.
_AMPLE = 1.2
#: Commands whose lines have a file of their own.
_ELSEWHERE = {
    "spectrum": Entry("lowrank_cli.reports.spectrum_rows:spectrum_rows", ""),
    "plan": Entry("lowrank_cli.reports.plan_rows:rows", ""),
    "compare": Entry("lowrank_cli.reports.compare_rows:rows", ""),
    "pinv": Entry("lowrank_cli.reports.pinv_rows:pinv_rows", ""),
    "msign": Entry("lowrank_cli.reports.msign_rows:rows", ""),
    "recompress": Entry("lowrank_cli.reports.recompress_rows:rows", ""),
    "norm": Entry("lowrank_cli.reports.norm_rows:rows", ""),
    "batch": Entry("lowrank_cli.reports.batch_rows:rows", ""),
    "doctor": Entry("lowrank_cli.reports.doctor_rows:rows", ""),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line. tone: "" or "warning" or "good"; sentences may be wrapped, values may not. ascii: the value for a
    stream that carries no more than ASCII, None when that is the same."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    ascii: str | None = None

    def in_ascii(self, value: str) -> Row:
        """This line, with another value for a stream that carries ASCII only."""
        return dataclasses.replace(self, ascii=value)


def rows(report: dict[str, Any], full: bool) -> list[Row]:
    """The lines of one report. Strings are safe to print; numbers read back when ``full``."""
    readers = {"verify": _verify, "info": _info, "list": _list, "warmup": _warmup}
    command = report["command"]
    reader = _ELSEWHERE[command].load() if command in _ELSEWHERE else readers.get(command, _approximation)
    return [*reader(report, full), *_picture(report.get("run") or {}, full)]


def title(report: dict[str, Any]) -> str:
    path = (report.get("run") or {}).get("input_path")
    words = [report["command"], *([] if path is None else [path])]
    if report["command"] == "batch":
        words = [report["of"], "of", str(report["inputs"]), "input" if report["inputs"] == 1 else "inputs"]
    return safe(" ".join(["lowrank", *words]))


def matrix_cells(item: dict[str, Any], path: str | None, full: bool) -> tuple[str, str]:
    named = " ".join(safe(part) for part in (path, item.get("item") or item.get("path")) if part)
    entries = "" if item["nnz"] is None else f", {item['nnz']} stored entries"
    facts = f"{shape(item['shape'])} {safe(item['dtype'])}{entries}, {size(item['bytes'], full)}"
    kernel = item.get("kernel")
    if kernel is not None:
        points = f"{kernel['points']} points in {kernel['dimension']} dimensions"
        facts += f"; {safe(kernel['name'])} kernel, scale {number(kernel['scale'], full)}, of {points}, never stored"
    return (facts, "") if not named else (named, facts)


def _approximation(report: dict[str, Any], full: bool) -> Iterator[Row]:
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    for name in COMPANIONS:
        if name in report:
            yield Row(name, *matrix_cells(report[name], run.get(f"{name}_path"), full))
    yield Row("method", f"{safe(report['method'])}, rank {report['rank']}")
    yield status(report)
    yield from _error(report["error"], full)
    yield from optimal(report, full)
    if run.get("singular_values"):
        from .spectrum_rows import bars

        drawn = bars(run["singular_values"], report["rank"])
        yield from [] if drawn is None else [drawn]
    yield from _method_facts(report, full)
    yield from compression(report, full)
    yield from cost(report, run, full)
    yield from warnings(report)


def status(report: dict[str, Any]) -> Row:
    from ..algorithms.outcome import Status

    try:
        advice = Status(report["status"]).advice
    except ValueError:
        advice = ""
    if report["status"] == "converged" and not _tolerance(report):
        advice = "The rank asked for was reached."
    return Row("status", safe(report["status"]), advice, "good" if report["status"] == "converged" else "warning")


def _tolerance(report: dict[str, Any]) -> bool:
    options = report.get("options") or {}
    return any(options.get(name) is not None for name in ("rtol", "atol"))


def _error(error: dict[str, Any], full: bool) -> Iterator[Row]:
    if error["kind"] == "none":
        yield Row("error", "not measured", "Use --certify exact to have it measured.", "warning")
        return
    norm = NORMS.get(error["norm"], safe(error["norm"]))
    sign = "<= " if error["kind"] == "bound" else ""
    yield Row("relative error", sign + number(error["relative"], full), f"{norm} norm, {KINDS.get(error['kind'], '')}")
    yield Row("absolute error", sign + number(error["absolute"], full), f"{norm} norm")
    if error["failure_probability"] is not None:
        chance = number(error["failure_probability"], full)
        yield Row("may fail", chance, f"Probability that the bound does not hold; {error['probes']} probes.")


def optimal(report: dict[str, Any], full: bool) -> Iterator[Row]:
    low, high = report["optimal"]["relative_lower"], report["optimal"]["relative_upper"]
    if low is None and high is None:
        return
    note = f"Smallest relative error of any rank {report['rank']}."
    chance = report["optimal"].get("failure_probability")
    if chance is not None:
        note += f" The lower end may fail with probability {number(chance, full)}."
    shown = number(high, full)
    if low is None or high is None:
        value = f"at most {shown}" if low is None else f"at least {number(low, full)}"
    elif number(low, full) == shown:
        value = shown
    else:
        value = f"at most {shown}, at least {number(low, full)}"
    yield Row("best possible", value, note)


def _method_facts(report: dict[str, Any], full: bool) -> Iterator[Row]:
    from .factor_rows import rows as structured
    from .second_rows import rows as second_matrix
    from .selection_rows import lines

    facts = report["method_facts"]
    if facts.get("triplet_residual") is not None:
        residual = number(facts["triplet_residual"], full)
        yield Row("residual", residual, "Largest |A v - s u| of a singular triplet, over s_1, measured.")
    if facts.get("single_pass") is not None:
        yield _seen_once(facts["single_pass"], full)
    if facts.get("directions") is not None:
        yield _certain(facts["directions"], full)
    yield from lines(facts, full)
    yield from structured(facts, full)
    if facts.get("core_growth") is not None:
        growth = number(facts["core_growth"], full)
        yield Row("core growth", growth, "Largest factor of the error of projecting that the intersection core adds.")
    if facts.get("eta_cols") is not None:
        bound = number(facts["deim_bound_relative"], full)
        growths = f"columns {number(facts['eta_cols'], full)}, rows {number(facts['eta_rows'], full)}"
        yield Row("choice bound", bound, f"relative, proven from the choice alone; growth: {growths}")
    yield from second_matrix(facts, full)
    if facts.get("trace_error_relative") is not None:
        trace = number(facts["trace_error_relative"], full)
        yield Row("trace error", trace, "tr (A - F F^H) / tr A, exact: from the diagonal")
    if facts.get("scheme") is not None:
        yield Row("scheme", safe(facts["scheme"]))
    if facts.get("predicted_relative") is not None:
        predicted = number(facts["predicted_relative"], full)
        kind = safe(facts.get("predicted_kind") or "unknown")
        yield Row("predicted error", predicted, f"relative, expected before the product was formed; {kind}")
    if facts.get("selection_relative") is not None:
        selection = number(facts["selection_relative"], full)
        yield Row("of these pairs", selection, "relative, known before the product was formed")
    if facts.get("shrink_factor") is not None:
        yield Row("shrunk by", number(facts["shrink_factor"], full), "F2 / (F2 + Var): better than zero on average.")
    if facts.get("Z2_over_F2") is not None:
        yield Row("Z2/F2", number(facts["Z2_over_F2"], full), "Sampling needs more pairs the larger this is.")


def _seen_once(facts: dict[str, Any], full: bool) -> Row:
    kept = f", {facts['kept']} of them kept" if facts["kept"] < facts["sketch"] else ""
    floor = f"Errors below {number(facts['floor_relative'], full)} take a second pass."
    return Row("seen once", f"by {safe(facts['order'])}, sketch of {facts['sketch']} columns{kept}", floor)


def _certain(facts: dict[str, Any], full: bool) -> Row:
    share = number(facts["taken_relative"], full)
    return Row("certain", f"0 <= A^H A - V s^2 Vh <= {number(facts['taken'], full)} I", f"{share} of |A|^2, Frobenius")


def compression(report: dict[str, Any], full: bool) -> Iterator[Row]:
    numbers = report["compression"]
    ratio, flops = numbers["ratio"], numbers["apply_flops_ratio"]
    counts = f"{size(numbers['bytes_in'], full)} -> {size(numbers['bytes_out'], full)}"
    if ratio is not None:
        tone = "warning" if ratio < 1 else ""
        yield Row(
            "compression",
            f"{number(ratio, full)} x",
            f"{counts}, of values and indices in memory, matrix / factors",
            tone,
        )
    if flops is not None:
        yield Row("apply cost", f"{number(flops, full)} x", "flops of a product with a vector, matrix / factors")


def cost(report: dict[str, Any], run: dict[str, Any], full: bool) -> Iterator[Row]:
    ledger = report["ledger"]
    kernels = ", ".join(safe(k) for k in report["method_facts"].get("kernels") or ())
    passes = "1 pass" if ledger["passes"] == 1 else f"{ledger['passes']} passes"
    work = f"{passes}, {ledger['products']} block products, {ledger['flops']:.3g} flops"
    yield Row("work", work, f"kernels: {kernels}" if kernels else "")
    if run.get("seconds") is not None:
        seconds = number(run["seconds"], full) if full else f"{run['seconds']:.2f}"
        threads = "1 thread" if run["threads"] == 1 else f"{run['threads']} threads"
        # what draws no random numbers has no seed
        seed = "" if report.get("seed") is None else f", seed {report['seed']}"
        yield Row("time", f"{seconds} s", threads + seed)
    yield from _reading(run, full)
    if run.get("output") is not None:
        known = run.get("output_bytes")
        yield Row("output", safe(run["output"]), "" if known is None else size(known, full))


def _reading(run: dict[str, Any], full: bool) -> Iterator[Row]:
    """Reads beside the passes, and that much more was read than there is."""
    count = run.get("fetches")
    if count:
        reads = "1 read" if count == 1 else f"{count} reads"
        yield Row("fetched", f"{reads} beside the passes", "Single rows or columns lie across the file.")
    times = run.get("read_amplification")
    if times is None or times <= _AMPLE:
        return
    value = f"{number(times, full)} x the matrix a pass"
    remedy = "Parts of the file were read more than once."
    if run.get("chunks") is not None:
        remedy = f"{remedy} Its chunks are {shape(run['chunks'])}: lowrank convert FILE.h5 FILE.npy, and read that."
    yield Row("reading", value, remedy, "warning")


def _picture(run: dict[str, Any], full: bool) -> Iterator[Row]:
    """Where the picture went."""
    if run.get("plot") is not None:
        known = run.get("plot_bytes")
        yield Row("picture", safe(run["plot"]), "" if known is None else size(known, full))


def warnings(report: dict[str, Any]) -> Iterator[Row]:
    """What a reader must not miss, in plain words."""
    facts, error, numbers = report["method_facts"], report["error"], report["compression"]
    said = facts.get("warnings") or facts.get("warning") or ()
    for warning in [said] if isinstance(said, str) else said:
        yield Row("WARNING", "", safe(warning), "warning")
    if error["relative"] is not None and error["relative"] >= 1 and not said:
        what = "The bound of the error" if error["kind"] == "bound" else "The error"
        yield Row("WARNING", "", f"{what} is no smaller than the error of the zero matrix.", "warning")
    if numbers["bytes_in"] < numbers["bytes_out"]:
        what = "the two matrices they came from" if "times" in report else "the matrix"
        yield Row("WARNING", "", f"The factors are larger than {what}: nothing was compressed.", "warning")


def _verify(report: dict[str, Any], full: bool) -> Iterator[Row]:
    run = report.get("run") or {}
    if run.get("against_path") is not None:
        yield Row("against", safe(run["against_path"]))
    norm = {"fro": "Frobenius norm, ", "spectral": "spectral norm, "}.get(report.get("norm") or "", "")
    yield Row("claimed error", number(report["claimed"], full), f"relative, {norm}stored with the factors")
    if report["measured"] is None:
        hint = "" if run.get("against_path") else "Give the matrix with --against to have it measured."
        yield Row("measured error", "not measured", hint)
    elif report.get("measured_lower") not in (None, report["measured"]):
        lower, upper = number(report["measured_lower"], full), number(report["measured"], full)
        yield Row("measured error", f"{lower} to {upper}", "relative, an interval computed now")
    else:
        yield Row("measured error", number(report["measured"], full), "relative, computed now")
    for name, ratio in (report.get("orthogonality") or {}).items():
        yield Row(f"{name} orthonormal", number(ratio, full), "largest deviation / (length eps), at most 30")
    yield from _reading(run, full)
    word = "yes" if report["holds"] else "NO"
    yield Row("holds", word, safe(report.get("reason") or ""), "good" if report["holds"] else "warning")


def _info(report: dict[str, Any], full: bool) -> Iterator[Row]:
    if "error" in report:
        yield Row("error", "", safe(report["error"]["message"]), "warning")
        return
    yield Row("format", safe(report["format"]))
    if "factors" in report:
        yield from _factors(report, full)
    for item in report["items"]:
        name, facts = matrix_cells(item, None, full)
        detail = safe(item.get("detail") or "")
        yield Row("item" if item["path"] else "matrix", name, "; ".join(part for part in (facts, detail) if part))


def _factors(report: dict[str, Any], full: bool) -> Iterator[Row]:
    facts, stored = report["factors"], report.get("stored") or {}
    dims = "shape unknown" if facts["shape"] is None else shape(facts["shape"])
    kind = f"{safe(facts['kind'])}, rank {facts['rank']}, {dims}"
    approximated = "A^H A ~" if facts["kind"] == "fd" else "A ~"
    of = {"pinv": "A^+ =", "norm": "gradient ="}.get(stored.get("command") or "", approximated)
    yield Row("factors", kind, f"{of} {safe(facts['product'])}, {size(facts['bytes'], full)}")
    if stored.get("status") and stored.get("command") != "norm":
        yield status(stored)
    if stored.get("error") and stored.get("command") == "recompress":
        from .recompress_rows import errors

        yield from errors(stored, full)
    elif stored.get("error"):
        yield from _error(stored["error"], full)


def _list(report: dict[str, Any], full: bool) -> Iterator[Row]:
    for what in ("methods", "formats"):
        for entry in report.get(what, ()):
            yield Row(safe(entry["name"]), entry.get("use", ""), safe(entry["summary"]))


def _warmup(report: dict[str, Any], full: bool) -> Iterator[Row]:
    yield Row("kernels", str(len(report["kernels"])), ", ".join(safe(name) for name in report["kernels"]))
