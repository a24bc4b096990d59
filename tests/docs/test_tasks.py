"""Ten tasks of a stranger, typed as docs/tasks.md shows them; each needs nothing of the others."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import sessions

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
TASKS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]


def test_there_are_ten_tasks_with_a_session_each():
    assert [task.split(".")[0] for task in TASKS] == [str(i) for i in range(1, 11)]
    assert all(len(sessions.blocks(task, "console")) == 1 for task in TASKS)


#: Tasks that are typed among the fast tests.
FAST = ("1", "3", "6", "10")


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, id=task.splitlines()[0], marks=() if task.split(".")[0] in FAST else pytest.mark.slow)
        for task in TASKS
    ],
)
def test_a_task_prints_what_the_page_shows(task, tmp_path):
    shutil.copytree(ROOT / "samples", tmp_path / "samples", ignore=shutil.ignore_patterns("out"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (session,) = sessions.blocks(task, "console")
    for ran in sessions.run(sessions.steps(session), tmp_path, path):
        wrong = sessions.difference(ran.step.shown, ran.printed)
        assert wrong is None, f"$ {ran.step.command}\n{wrong}\nall of it:\n" + "\n".join(ran.printed)
