"""lowrank info: what files hold, from headers alone; of saved factors, the report inside."""

from __future__ import annotations

from typing import Any

from . import batch, shared
from .command import Command, Param, Values
from .inputs import Input
from .terminal import Terminal


def _params() -> tuple[Param, ...]:
    return (
        Param("files", "Matrices or saved factors.", metavar="FILE...", kind="many"),
        batch.KEEP_GOING,
        *shared.REPORT,
        *shared.TALK,
    )


def describe(path: str, argv: list[str] | None = None) -> dict[str, Any]:
    """The report of one file, from its headers: of saved factors what they say of themselves, without checking."""
    from ..formats import opening, saving
    from ..reports.facts import plain, started, with_run

    report = started("info")
    if path != shared.STDIN and saving.is_factors(path):
        report |= _factors(saving.load_headers(path))
    else:
        report["format"], items = opening.list_items(path)
        report["items"] = [
            {**_item(i.path, i.shape, i.dtype, i.nnz, i.bytes), **({"detail": i.detail} if i.detail else {})}
            for i in items
        ]
    return with_run(plain(report), argv=argv, input_path=path)


def _factors(saved: Any) -> dict[str, Any]:
    report = saved.report
    compression = report.get("compression") or {}
    return {
        "format": "factors",
        "items": [_item(n, a.shape, a.dtype, None, a.nbytes) for n, a in saved.arrays.items()],
        "factors": {
            "kind": saved.kind,
            "product": saved.product,
            "shape": _shape(report),
            "rank": report.get("rank"),
            "bytes": compression.get("bytes_out", sum(a.nbytes for a in saved.arrays.values())),
        },
        "stored": report,
    }


def _shape(report: dict[str, Any]) -> list[int] | None:
    """Of the matrix that the factors stand for, as the stored report tells it: of a product, rows of X and columns of
    Y; of a pseudo-inverse, the columns of A first."""
    if report.get("command") == "pinv":
        return report["input"]["shape"][::-1]
    first = (report.get("input") or {}).get("shape")
    last = (report.get("times") or report.get("input") or {}).get("shape")
    return None if first is None or last is None else [first[0], last[1]]


def _item(path: str | None, shape: Any, dtype: Any, nnz: int | None, count: int) -> dict[str, Any]:
    return {"path": path, "shape": list(shape), "dtype": str(dtype), "nnz": nnz, "bytes": count}


def _run(values: Values, terminal: Terminal) -> int:
    how = batch.plan("info", values, summary=False)
    shared.check_inputs(list(values["files"]))

    def one(file: Input, threads: int, terminal: Terminal) -> batch.Result:
        return batch.Result(describe(file.path, ["lowrank", *terminal.argv]))

    return batch.run(how, [Input(path) for path in values["files"]], one, terminal)


COMMAND = Command(
    help="Say what files hold: shape, dtype and size of matrices; rank and error of saved factors.",
    params=_params,
    run=_run,
    epilog="""Example:
  lowrank info *.h5 --report tsv""",
)
