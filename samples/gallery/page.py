"""A page of the gallery: commands as they were typed, what they said, what was checked, and pictures."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent
#: The command; make says which.
LOWRANK = os.environ.get("LOWRANK", "lowrank")


class Page:
    """Markdown that grows. ``out`` is where pictures and intermediate files go; commands run there."""

    def __init__(self, name: str, title: str):
        self.name = name
        self.out = Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "out").resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self._lines = [f"# {title}"]
        self._quiet = 0
        for sample in SAMPLES.glob("*.npy"):
            self._link(sample)
        for sample in [*SAMPLES.glob("*.mtx"), *SAMPLES.glob("*.h5"), *HERE.glob("*.npy"), *HERE.glob("*.csv")]:
            self._link(sample)

    def _link(self, sample: Path) -> None:
        place = self.out / sample.name
        if not place.exists():
            place.symlink_to(sample)

    def say(self, text: str) -> None:
        """Paragraphs; where their lines end does not matter."""
        for paragraph in text.strip().split("\n\n"):
            self._lines += ["", " ".join(paragraph.split())]

    def run(self, line: str, show: bool = True, status: int = 0) -> str:
        """Run a command line of lowrank, keep it for the page and return what it wrote to standard output."""
        argv = shlex.split(line)
        assert argv[0] == "lowrank"
        done = subprocess.run([*shlex.split(LOWRANK), *argv[1:]], cwd=self.out, capture_output=True, text=True)
        if done.returncode != status:
            raise SystemExit(f"{line}: exit {done.returncode}\n{done.stderr}")
        if not show and self._quiet == len(self._lines):
            # commands whose reports are not shown stand together
            self._lines[-1:] = [f"$ {line}", "```"]
        else:
            self._lines += ["", "```console", f"$ {line}", *([done.stdout.rstrip()] if show else []), "```"]
        self._quiet = 0 if show else len(self._lines)
        return done.stdout

    def ask(self, line: str) -> dict[str, Any]:
        """The report of a command line, taken from JSON; the page shows the line alone."""
        report: dict[str, Any] = json.loads(self.run(f"{line} --json", show=False))
        return report

    def check(self, claim: str, value: float, expected: float, tolerance: float) -> None:
        """State a claim with the two numbers it compares, or stop: |value - expected| <= tolerance."""
        if not abs(value - expected) <= tolerance:
            raise SystemExit(f"{self.name}: {claim}: {value!r} against {expected!r}, off by more than {tolerance:g}")
        self.say(f"Checked: {claim}: {value:.6g} against {expected:.6g}, within {tolerance:.2g}.")

    def holds(self, claim: str, truth: bool) -> None:
        """State a claim that was found true, or stop."""
        if not truth:
            raise SystemExit(f"{self.name}: not so: {claim}")
        self.say(f"Checked: {claim}.")

    def table(self, head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        shown = [[x if isinstance(x, str) else f"{x:.4g}" for x in row] for row in rows]
        self._lines += ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        self._lines += [f"| {' | '.join(row)} |" for row in shown]

    def picture(self, svg: str, caption: str, suffix: str = "") -> None:
        """Write the SVG beside the page and show it."""
        name = f"{self.name}{suffix}.svg"
        (self.out / name).write_text(svg, encoding="utf-8")
        self._lines += ["", f"![{caption}]({name})"]

    def write(self) -> None:
        (self.out / f"{self.name}.md").write_text("\n".join(self._lines) + "\n", encoding="utf-8")
        print(f"{self.out / self.name}.md")
