"""Write docs/cli.md, every command's help as the program prints it on a terminal of 80 columns, and docs/lowrank.1, the
man page from the same parameters.

.venv/bin/python docs/generate_cli.py          writes the pages
.venv/bin/python docs/generate_cli.py --check  says whether they are current, by its exit code
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import manual
import writing

from lowrank_cli.cli import TABLE

PAGE = Path(__file__).with_name("cli.md")
MANUAL = Path(__file__).with_name("lowrank.1")
_HEAD = """# Command line

Written by `docs/generate_cli.py`; `make docs` renews it, and a test compares it with the program.
"""


def said(*argv: str) -> str:
    """What a command line prints on a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "lowrank_cli", *argv]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def page() -> str:
    """The whole page: the root, then the commands in the order of their table."""
    parts = [_HEAD, _section("lowrank", said("--help"))]
    parts += [_section(f"lowrank {name}", said(name, "--help")) for name in TABLE]
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"


def main(argv: list[str]) -> int:
    return writing.main({PAGE: page, MANUAL: manual.page}, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
