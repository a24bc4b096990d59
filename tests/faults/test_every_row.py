"""The catalogue of faults is whole: every row has a test that is named after it, and no test names a row of its own."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from .rows import rows

SIZES = {"a": 21, "b": 24, "c": 22, "d": 26, "e": 22, "f": 24, "g": 17, "h": 20}


def named() -> set[str]:
    found = set()
    for file in Path(__file__).parents[1].rglob("test_*.py"):
        found |= set(re.findall(r"^ *def test_([a-h]\d\d)_\w+\(", file.read_text(), re.MULTILINE))
    return found


def test_the_catalogue_has_all_its_rows():
    assert Counter(row[0] for row in rows()) == SIZES and sum(SIZES.values()) == 176


def test_every_row_has_a_test_named_after_it():
    have = named()
    assert [f"{row}: {claim}" for row, claim in rows().items() if row not in have] == []


def test_no_test_names_a_row_that_does_not_exist():
    assert named() - set(rows()) == set()
