"""What the scripts that write pages share: write them, or say whether they are current."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def main(pages: Mapping[Path, Callable[[], str]], argv: list[str]) -> int:
    """Write each page with what its function says; with --check write none, and return 1 when one is not current."""
    if argv not in ([], ["--check"]):
        print("usage: generate_*.py [--check]", file=sys.stderr)
        return 2
    for page, text in pages.items():
        said = text()
        if not argv:
            page.write_text(said, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != said:
            return 1
    return 0
