"""The house: who imports whom, and how long files and functions may be."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LONGEST_FILE, LONGEST_FUNCTION = 350, 70
#: Names that say nothing of what a module holds.
EMPTY_NAMES = {"utils", "util", "misc", "helpers", "helper", "common", "manager", "tools"}


def modules(repository: Path) -> list[Path]:
    return sorted((repository / "lowrank_cli").rglob("*.py"))


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.fail("import-linter is not installed: make install brings it")
    return subprocess.run([command, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120)


def copy_of(repository: Path, folder: Path) -> Path:
    shutil.copytree(repository / "lowrank_cli", folder / "lowrank_cli", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "pyproject.toml", folder)
    return folder


def test_floors_import_only_downward(repository, tmp_path):
    done = lint(copy_of(repository, tmp_path))
    assert done.returncode == 0, done.stdout


def test_every_package_and_module_belongs_to_a_floor(repository):
    """Otherwise a new package would import as it likes, unseen."""
    import tomllib

    config = tomllib.loads((repository / "pyproject.toml").read_text())
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    known = {name.strip() for layer in layers for name in layer.replace(":", "|").split("|")}
    root = repository / "lowrank_cli"
    parts = {p.stem for p in root.glob("*.py")} | {p.parent.name for p in root.glob("*/__init__.py")}
    assert {f"lowrank_cli.{part}" for part in parts - {"__init__"}} <= known


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("kernels/gather.py", "from ..matrices import dense"),
        ("api.py", "import rich"),
        ("matrices/dense.py", "import numba"),
    ],
)
def test_an_import_upward_or_out_of_place_would_be_found(repository, tmp_path, module, line):
    folder = copy_of(repository, tmp_path)
    path = folder / "lowrank_cli" / module
    path.write_text(path.read_text() + f"\n{line}\n")
    done = lint(folder)
    # numba is forbidden to the floors above the kernels, which the second and third contract say
    assert done.returncode != 0 and "BROKEN" in done.stdout


def test_no_file_is_longer_than_can_be_read_at_once(repository):
    lengths = {str(p.relative_to(repository)): len(p.read_text().splitlines()) for p in modules(repository)}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_page(repository):
    long = {}
    for path in modules(repository):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long[f"{path.relative_to(repository)}:{node.name}"] = length
    assert long == {}


def test_no_module_has_a_name_that_says_nothing(repository):
    found = [p for p in modules(repository) if {p.stem, p.parent.name} & EMPTY_NAMES]
    assert found == []


def test_every_module_and_public_function_says_what_it_is_for(repository):
    silent = []
    for path in modules(repository):
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            silent.append(str(path))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{path}:{node.name}")
    assert silent == []


def test_nothing_is_ever_unpickled(repository):
    """Reading a pickle runs what is in it. But for the functions that a cluster is sent: its own protocol pickles."""
    for path in modules(repository):
        if path.parts[-2:] == ("matrices", "spread_tasks.py"):
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {"pickle", "dill", "cloudpickle", "joblib"}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path
