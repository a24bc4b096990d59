"""Every method against its peers, at equal terms: times in units, errors measured independently.

    python bench/run.py [--only TEXT] [--json FILE] [--history] [--rounds N] [--scale S]

bench/README.md says what a unit and an error are.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import arena
import judge
import numpy as np
import peers
from cases import CASES, Case, Problem
from report import arguments, figure, headline, machine, table

HISTORY = Path(__file__).with_name("history.jsonl")
#: An excess below this is rounding: of the error itself, and of the matrix when it was made.
ROUNDING = 1e-12
SAYS = {"excess": "excess error", "triplets": "residual, value error", "relative": "relative error"}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here too")
    parser.add_argument("--history", action="store_true", help=f"append a line to {HISTORY.name}")
    asked = parser.parse_args()
    chosen = [case for case in CASES if asked.only in case.name]
    if not chosen:
        parser.error(f"no case has {asked.only!r} in its name; there are {', '.join(case.name for case in CASES)}")
    if asked.history and asked.scale != 1:
        parser.error("the history is for cases at full size, without --scale")
    facts = machine()
    print(headline(facts, asked.scale), flush=True)
    done = {}
    for case in chosen:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        done[case.name] = found = measured(case.at(asked.scale), case.make(asked.scale), asked.rounds)
        show(case, found)
    if asked.json:
        everything = {"machine": facts, "scale": asked.scale, "rounds": asked.rounds, "cases": done}
        asked.json.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    if asked.history:
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line_of_history(facts, done)) + "\n")


def measured(case: Case, problem: Problem, rounds: int) -> dict[str, Any]:
    """Time a case, then judge what came out: judging keeps all cores busy."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = arena.store(problem.arrays, folder)
        entries = [arena.Entry(contender, files, case.rank, case.width) for contender in case.contenders]
        results = arena.run(entries, rounds, folder)
        errors = judged(case, problem, results)
    medians = {r.name: r.median for r in results if not r.absent}
    base = next(r.name for r in results if r.entry.contender.base)
    unit, ours = medians.get("unit", math.nan), medians.get(base, math.nan)
    return {
        "shapes": [list(array.shape) for array in problem.arrays],
        "rank": case.rank,
        "width": case.width,
        "measure": case.measure,
        "base": base,
        "rows": [row(r, unit, ours) | errors.get(r.name, {}) for r in results],
    }


def judged(case: Case, problem: Problem, results: list[arena.Result]) -> dict[str, dict[str, float | None]]:
    """The error of every contender by its name, as the case wants it measured; None where it is not known."""
    A = problem.arrays[0] if len(problem.arrays) == 1 else problem.arrays
    factors = {r.name: _saved(r.factors) for r in results if r.factors is not None}
    if case.measure == "triplets":
        found = {name: judge.triplets(A, problem.values, *given) for name, given in factors.items()}
        return {name: {"error": residual, "value_error": value} for name, (residual, value) in found.items()}
    errors = {name: judge.error(A, given) for name, given in factors.items()}
    if case.measure == "relative":
        size = judge.norm(A)
        return {name: {"error": _finite(error / size)} for name, error in errors.items()}
    known = problem.values is not None
    best = judge.best(problem.values, case.rank) if known else errors.get(peers.PROPACK.name, math.nan)
    return {name: {"error": _finite(error / best - 1)} for name, error in errors.items()}


def _saved(path: Path) -> list[np.ndarray]:
    with np.load(path) as file:
        return [file[key] for key in file.files]


def row(result: arena.Result, unit: float, ours: float) -> dict[str, Any]:
    """The figures of a contender; None where there are none."""
    if result.absent:
        return {"contender": result.name, "absent": result.absent}
    return {
        "contender": result.name,
        "seconds": result.median,
        "least": min(result.seconds),
        "times": result.seconds,
        "units": _finite(result.median / unit),
        "times_ours": _finite(result.median / ours),
        "work": result.work,
    }


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


def show(case: Case, found: dict[str, Any]) -> None:
    head = ("contender", "units", "seconds", "least", SAYS[case.measure], "times ours", "work")
    lines = []
    for r in found["rows"]:
        if "absent" in r:
            lines.append((r["contender"], r["absent"], *[""] * 5))
            continue
        units, ratio = ("" if r[key] is None else figure(r[key]) for key in ("units", "times_ours"))
        times = figure(r["seconds"]), figure(r["least"])
        lines.append((r["contender"], units, *times, error_text(case, r), ratio, r["work"]))
    shapes = " times ".join("x".join(map(str, shape)) for shape in found["shapes"])
    width = "" if case.measure == "relative" else f", unit of {found['width']} columns"
    table(f"{case.name}, {shapes}, rank {found['rank']}{width}", head, lines, case.note)


def error_text(case: Case, figures: dict[str, Any]) -> str:
    if "error" not in figures:
        return ""
    x = figures["error"]
    if x is None:
        return "not known"
    if case.measure == "triplets":
        return f"{x:.1e}, {figures['value_error']:.1e}"
    if case.measure == "excess" and abs(x) < ROUNDING:
        return f"< {ROUNDING:g}"
    return f"{x:.4f}" if abs(x) >= 0.01 else f"{x:.1e}" if x else "0"


def line_of_history(facts: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    """Ours in units with its error, and how many times as long each peer took."""
    cases = {}
    for name, found in done.items():
        rows = {r["contender"]: r for r in found["rows"] if "absent" not in r}
        ours = {key: rows.pop(key) for key in list(rows) if key.startswith("lowrank")}
        rows.pop("unit", None)
        cases[name] = {
            "ours": {key: {"units": r["units"], "error": r.get("error")} for key, r in ours.items()},
            "times_ours": {key: r["times_ours"] for key, r in rows.items()},
        }
    return {key: facts[key] for key in ("date", "lowrank", "cpu", "cores")} | {"cases": cases}


if __name__ == "__main__":
    main()
