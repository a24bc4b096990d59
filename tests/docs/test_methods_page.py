"""docs/methods.md says what the table of methods says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lowrank_cli.algorithms import TABLE

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "generate_methods.py"


def test_the_page_is_current():
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True)
    assert done.returncode == 0, "make docs writes docs/methods.md again"


@pytest.mark.parametrize("name", TABLE)
def test_every_method_says_what_it_is_what_it_costs_and_when_to_choose_it(name):
    method = TABLE[name].load()
    assert method.name == name
    assert all((method.identity, method.cost, method.reference, method.guarantee, method.choose))
