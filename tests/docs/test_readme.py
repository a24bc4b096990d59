"""The README says what the command does: its sessions are typed in, and its tables hold every row of ours."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import sessions

from lowrank_cli import algorithms, formats, reports

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSIONS = [sessions.steps(block) for block in sessions.blocks(README, "console")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with a copy of the samples, as in a fresh clone."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=shutil.ignore_patterns("out"))
    return folder


@pytest.fixture(scope="module")
def path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_the_readme_opens_with_a_session():
    assert SESSIONS and SESSIONS[0][0].command.startswith("lowrank approx ")


@pytest.mark.parametrize("number", range(len(SESSIONS)))
def test_a_session_prints_what_the_readme_shows(number, workplace, path):
    # sessions may use what an earlier one wrote; each runs what it needs, so that every one can be tested alone
    for ran in sessions.run(SESSIONS[number], workplace, path):
        wrong = sessions.difference(ran.step.shown, ran.printed)
        assert wrong is None, f"$ {ran.step.command}\n{wrong}\nall of it:\n" + "\n".join(ran.printed)


@pytest.mark.parametrize("number", range(len(sessions.blocks(README, "sh"))))
def test_a_shell_recipe_runs(number, workplace, path):
    script = sessions.blocks(README, "sh")[number]
    if re.search(r"\b(git clone|make install)\b", script):
        pytest.skip("installs: the fresh clone test does it")
    commands = [line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for ran in sessions.run([sessions.Step(c, []) for c in commands], workplace, path):
        assert ran.code == 0, f"$ {ran.step.command}\n" + "\n".join(ran.printed)


@pytest.mark.parametrize("number", range(len(sessions.blocks(README, "python"))))
def test_a_python_recipe_runs(number, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    exec(compile(sessions.blocks(README, "python")[number], "README.md", "exec"), {"__name__": "recipe"})
    assert capsys.readouterr().err == ""


def rows(heading: str) -> set[str]:
    """The first cells of the table under a heading."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)`", section, flags=re.MULTILINE))


def test_the_methods_table_has_exactly_the_methods():
    assert rows("Methods") == set(algorithms.TABLE)


def test_the_formats_table_has_exactly_the_readers_and_writers():
    assert rows("Formats") == set(formats.TABLE) | set(formats.WRITERS) | set(formats.MATRICES)


def test_every_command_is_mentioned():
    from lowrank_cli.cli import TABLE

    missing = [name for name in TABLE if f"lowrank {name}" not in README]
    assert not missing


def test_every_face_of_the_report_is_mentioned():
    assert [name for name in reports.TABLE if f"`{name}`" not in README] == []


def test_the_numbers_of_bounds_are_those_of_the_program():
    from lowrank_cli.budget import Budget
    from lowrank_cli.certificates import probes, spectral

    assert f"{Budget(rank=1).failure_probability:.0e}".replace("e-0", "e-") == "1e-6" and "| 1e-6 |" in README
    assert f"| {probes.COUNT} random vectors" in README
    assert f"from {spectral.STARTS} random vectors" in README
    assert f"up to {spectral.DENSE_ENTRIES // 10**6} million entries" in README
    assert f"smaller side of {spectral.DENSE_SIDE}" in README


def test_the_ranks_that_a_bound_costs_are_those_of_the_program():
    import lowrank_cli

    exact, bound = (
        lowrank_cli.approx(str(ROOT / "samples" / "camera.npy"), rtol=0.1, certify=how).factor.rank
        for how in ("exact", "probes")
    )
    assert f"rank {exact} by the exact" in re.sub(r"\s+", " ", README)
    assert f"rank {bound} by the bound" in re.sub(r"\s+", " ", README)
