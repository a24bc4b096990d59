"""Rows of text files that take the whole command; the reader's own are in ``tests/formats``, under the same names."""

from __future__ import annotations

import re


def test_b23_the_locale_changes_nothing(shell, tmp_path, repository):
    (tmp_path / "a.csv").write_text("1.5,2.25\n-3.125,4\n0.5,1e3\n")
    answers = [
        shell("L convert a.csv out.npy && od -An -tx1 out.npy && L info a.csv --json", LC_ALL=name, LC_NUMERIC=name)
        for name in ("C", "de_DE.UTF-8")
    ]
    assert answers[0].returncode == 0, answers[0]
    assert [answer.stdout for answer in answers] == [answers[0].stdout] * 2
    # Python reads and prints numbers as in C unless told otherwise, and nothing tells it
    for file in (repository / "lowrank_cli").rglob("*.py"):
        assert not re.search(r"setlocale|import locale|locale\.ato|:n}", file.read_text()), file
