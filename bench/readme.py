"""The table of the README from results of bench/run.py: times as multiples of ours, and the measured excess errors.

Usage: python bench/readme.py FILE.json, the file that ``python bench/run.py --only svd --json FILE.json`` wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def cell(row: dict[str, Any]) -> str:
    if row.get("times_ours") is None or row.get("error") is None:
        return row.get("note", "-")
    error = row["error"]
    return f"{row['times_ours']:.1f} x, " + (f"{error:.1e}" if error >= 1e-12 else "< 1e-12")


def main(path: str) -> None:
    found = json.loads(Path(path).read_text())
    cases = {name: case for name, case in found["cases"].items() if name.startswith("svd ")}
    names = [row["contender"] for row in next(iter(cases.values()))["rows"] if row["contender"] != "unit"]
    print("| " + " | ".join(["4000 x 3000, rank 100", *(name.removeprefix("svd ") for name in cases)]) + " |")
    print("|---" * (len(cases) + 1) + "|")
    for name in names:
        rows = [next(r for r in case["rows"] if r["contender"] == name) for case in cases.values()]
        print("| " + " | ".join([name, *(cell(row) for row in rows)]) + " |")
    print(f"\n{found['machine']}" if isinstance(found["machine"], str) else f"\n{json.dumps(found['machine'])}")


if __name__ == "__main__":
    main(*sys.argv[1:])
