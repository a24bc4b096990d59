"""No page sends its reader nowhere: relative links, anchors, and files named in the text all exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "samples" / "README.md"])
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
#: a file or folder of ours in backticks; a name in capitals or with <> stands for the reader's own
_OURS = re.compile(r"`((?:lowrank_cli|tests|docs|samples|\.ci|bench)/[\w./-]*|Makefile|pyproject\.toml|\w+\.md)`")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that headings make: lower case, punctuation dropped, blanks as hyphens."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    broken = []
    for link in _LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        where = (page.parent / target) if target else page
        if not where.exists() or (anchor and anchor not in anchors(where)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_named_exists(page):
    named = _OURS.findall(prose(page))
    assert [n for n in named if not (ROOT / n).exists() and not (page.parent / n).exists()] == []


def test_contributing_names_files_at_all():
    assert len(set(_OURS.findall(prose(ROOT / "CONTRIBUTING.md")))) >= 8


def test_the_targets_the_pages_name_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z]+(?:-[a-z]+)*)\b", pages, flags=re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_make_alone_lists_every_target():
    shown = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert [t for t in targets if f"make {t} " not in shown] == []
