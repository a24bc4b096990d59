"""Write docs/methods.md: one row a method, from the table of methods.

.venv/bin/python docs/generate_methods.py          writes the page
.venv/bin/python docs/generate_methods.py --check  says whether it is current, by its exit code
"""

from __future__ import annotations

import sys
from pathlib import Path

import writing

from lowrank_cli.algorithms import TABLE

PAGE = Path(__file__).with_name("methods.md")
_HEAD = """# Methods

Written by `docs/generate_methods.py`; `make docs` renews it, and a test compares it with the program. A is m x n, the
rank is k; flops are leading terms, a pass is one reading of the matrix.

| method | identity | known of its error | cost | choose it for | reference |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page, in the order of the table."""
    return _HEAD + "".join(_row(name) for name in TABLE)


def _row(name: str) -> str:
    method = TABLE[name].load()
    said = (f"`{name}`", method.identity, method.guarantee, method.cost, method.choose, method.reference)
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in said)} |\n"


def main(argv: list[str]) -> int:
    return writing.main({PAGE: page}, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
