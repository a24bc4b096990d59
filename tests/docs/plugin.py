"""Packages with entry points, put into a folder as an installer would, without one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path


def install(target: Path, name: str, points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]) -> None:
    """A package of this name with its modules, by name, and its entry points, by group."""
    info = target / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in those.items()) for group, those in points.items())
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, text in modules.items():
        (target / f"{module}.py").write_text(text)


def install_project(folder: Path, target: Path) -> None:
    """The project in a folder: what its pyproject.toml says, and its modules."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    modules = {file.stem: file.read_text() for file in folder.glob("*.py")}
    install(target, project["name"], project["entry-points"], modules)
