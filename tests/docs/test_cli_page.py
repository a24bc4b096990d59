"""The page of the command line is the program's own help, word for word."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lowrank_cli.cli import TABLE

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "generate_cli.py"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_cli", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed(generator) -> str:
    return generator.PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_program_says_now(generator, committed):
    assert committed == generator.page(), "the help has changed: make docs writes the page again"


def test_every_command_has_its_section_in_the_order_of_the_table(committed):
    assert re.findall(r"^## (.+)$", committed, flags=re.MULTILINE) == ["lowrank", *(f"lowrank {n}" for n in TABLE)]


def test_no_line_is_wider_than_a_terminal(committed):
    assert max(map(len, committed.splitlines())) <= 100
    fenced = re.findall(r"^```text\n(.*?)^```$", committed, flags=re.MULTILINE | re.DOTALL)
    assert max(len(line) for block in fenced for line in block.splitlines()) <= 80


def test_the_check_finds_one_changed_word(generator, tmp_path, committed, monkeypatch):
    monkeypatch.setattr(generator, "page", lambda: committed)
    changed = tmp_path / "cli.md"
    changed.write_text(committed.replace("Show this message", "Show that message", 1), encoding="utf-8")
    monkeypatch.setattr(generator, "PAGE", changed)
    monkeypatch.setattr(generator.manual, "page", lambda: generator.MANUAL.read_text(encoding="utf-8"))
    assert generator.main(["--check"]) == 1
    changed.write_text(committed, encoding="utf-8")
    assert generator.main(["--check"]) == 0


def test_the_committed_pages_are_current():
    """In a process of its own: the man page is read from the tables, which other tests may have touched."""
    assert subprocess.run([sys.executable, str(SCRIPT), "--check"]).returncode == 0


def test_the_script_refuses_what_it_does_not_know():
    done = subprocess.run([sys.executable, str(SCRIPT), "--chekc"], capture_output=True, text=True)
    assert done.returncode == 2 and "usage" in done.stderr
