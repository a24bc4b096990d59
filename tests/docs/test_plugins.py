"""Packages that extend the command: the sample works, the page shows it, and a broken one explains itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import plugin
import pytest
import sessions

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SAMPLE = ROOT / "samples" / "plugin"
BROKEN = {
    "lowrank.methods": {
        "gone": "no_such_module:X",
        "wrong": "broken:five",
        "svd": "broken:five",
        "rude": "broken:RUDE",
    },
    "lowrank.formats": {"sick": "broken:nothing", "npy": "broken:five"},
    "lowrank.faces": {"number": "broken:five", "loud": "broken:loud", "exits": "leaves:now"},
}
MODULES = {
    "broken": """import dataclasses
from lowrank_cli.algorithms.svd import METHOD
from lowrank_cli.options import opt
five = 5
@dataclasses.dataclass(frozen=True)
class Options:
    rank: int = opt(1, "Clashes.")
    steps: int = opt(1, "Steps of a method that does not work.")
def run(matrix, budget, options, streams):
    return 1 / 0
RUDE = dataclasses.replace(METHOD, name="rude", options=Options, run=run)
def loud(reports, style):
    raise KeyError("loud")
""",
    "leaves": "raise SystemExit(0)\n",
}


def call(site: Path, *argv: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(site), "NO_COLOR": "1", "COLUMNS": "100", **more}
    return subprocess.run(
        [sys.executable, "-m", "lowrank_cli", *argv], cwd=cwd, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    plugin.install_project(SAMPLE, target)
    return target


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("broken")
    plugin.install(target, "broken-one", BROKEN, MODULES)
    return target


@pytest.fixture
def table(tmp_path) -> Path:
    (tmp_path / "T.csv").write_text("1,2,3\n4,5,6\n7,8,10\n")
    return tmp_path


# The page


def test_the_page_shows_the_sample_as_it_is():
    sample = (SAMPLE / "lowrank_sample.py").read_text()
    shown = sessions.blocks(PAGE, "python")
    assert shown and all(block.strip() in sample for block in shown)
    assert sessions.blocks(PAGE, "toml")[0].strip() in (SAMPLE / "pyproject.toml").read_text()


def test_the_sessions_of_the_page_print_what_it_shows(site, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(site))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in sessions.blocks(PAGE, "console"):
        for ran in sessions.run(sessions.steps(block), tmp_path, path):
            wrong = sessions.difference(ran.step.shown, ran.printed)
            assert wrong is None, f"$ {ran.step.command}\n{wrong}\nall of it:\n" + "\n".join(ran.printed)


def test_names_of_other_packages_are_in_lists_help_and_hints(site, table):
    assert "evenly" in call(site, "list", "methods", cwd=table).stdout
    assert "grid " in call(site, "list", "formats", cwd=table).stdout
    help = call(site, "approx", "--help", cwd=table).stdout
    assert "--stride" in help and "evenly" in help and "brief" in help
    assert "did you mean evenly?" in call(site, "approx", "T.csv", "-m", "evnly", cwd=table).stderr


def test_a_format_of_another_package_does_not_take_our_files(site, table):
    (table / "grid.csv").write_text("grid 2 2\n1 2\n")
    done = call(site, "info", "T.csv", "--json", cwd=table)
    assert json.loads(done.stdout)["format"] == "text"
    (table / "A.grid").write_text("grid 2 2\n1 2\n3 4\n")
    assert json.loads(call(site, "info", "A.grid", "--json", cwd=table).stdout)["format"] == "grid"


# Broken ones


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (["-m", "gone"], 6, "method 'gone' of the package broken-one 1.0 cannot be loaded, ModuleNotFoundError"),
        pytest.param(["-m", "wrong"], 6, "is int, not Method of lowrank_cli.algorithms.method", marks=pytest.mark.slow),
        (["-m", "rude", "-k", "1"], 1, "method 'rude' failed, ZeroDivisionError"),
        pytest.param(["--report", "number"], 6, "is int, not a function", marks=pytest.mark.slow),
        pytest.param(["--report", "loud"], 1, "report face 'loud' failed, KeyError", marks=pytest.mark.slow),
        (["--report", "exits"], 6, "cannot be loaded, SystemExit"),
    ],
)
def test_a_broken_row_that_is_asked_for_is_one_line(broken, table, argv, code, what):
    done = call(broken, "approx", "T.csv", *argv, cwd=table)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert done.returncode == code and len(errors) == 1 and what in errors[0] and "Traceback" not in done.stderr
    assert "broken-one" in errors[0] and not done.stdout


def test_our_rows_win_over_others_of_their_name(broken, table):
    done = call(broken, "list", "methods", cwd=table)
    assert done.returncode == 0 and "svd" in done.stdout
    assert "method 'svd' of the package broken-one 1.0 is left out: lowrank has one of that name" in done.stderr


@pytest.mark.parametrize("argv", [["approx", "T.csv", "-k", "1"], ["info", "T.csv"]])
def test_who_asks_for_ours_never_meets_a_broken_one(broken, table, argv):
    done = call(broken, *argv, cwd=table)
    assert done.returncode == 0 and done.stderr == ""


def test_help_and_compare_go_on_without_the_broken_ones(broken, table):
    done = call(broken, "approx", "--help", cwd=table)
    assert done.returncode == 0 and "--steps" in done.stdout and "'gone'" in done.stderr
    assert "option --rank of method rude is left out" in done.stderr
    done = call(broken, "compare", "T.csv", "-k", "1", "--json", cwd=table)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and {"svd", "id cols"} <= {row["structure"] for row in report["rows"]}
    assert "ZeroDivisionError" in next(one["reason"] for one in report["skipped"] if one["structure"] == "rude")


def test_a_file_that_nobody_knows_is_refused_as_before(broken, table):
    (table / "x.zzz").write_bytes(b"\x01\x02\x03")
    done = call(broken, "info", "x.zzz", cwd=table)
    assert done.returncode == 4 and "not known" in done.stderr and "'sick'" in done.stderr


def test_entry_points_are_not_looked_for_when_ours_will_do(site, table):
    for argv in (["approx", "T.csv", "-k", "1", "-q"], ["--help"], ["info", "T.csv", "--json"]):
        env = {**os.environ, "PYTHONPATH": str(site)}
        call = [sys.executable, "-X", "importtime", "-m", "lowrank_cli", *argv]
        done = subprocess.run(call, cwd=table, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and not re.search(r"importlib\.metadata\b(?!\._meta)", done.stderr)
