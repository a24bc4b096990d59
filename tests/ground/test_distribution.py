"""What is said of the package in several places is the same in all of them."""

from __future__ import annotations

import re
import tomllib

import pytest

from lowrank_cli import __version__


@pytest.fixture(scope="module")
def project(repository):
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", text, re.MULTILINE))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_the_citation_names_this_version_and_licence(repository, project):
    text = (repository / "CITATION.cff").read_text()
    assert f"version: {__version__}\n" in text and f"license: {project['license']}\n" in text


def test_the_oldest_versions_tested_are_the_oldest_allowed(repository, project):
    tried = pins((repository / ".ci" / "lowest.txt").read_text())
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [
        line for name, lines in extras.items() if name not in ("all", "bench", "fuzz", "dev") for line in lines
    ]
    allowed = {re.split(r"[<>=]", line)[0]: re.search(r">=([\d.]+)", line)[1] for line in wanted}
    assert tried.keys() == allowed.keys()
    for name, version in allowed.items():
        width = len(numbers(version))
        assert numbers(tried[name])[:width] == numbers(version) and set(numbers(tried[name])[width:]) <= {0}, name


def test_the_lock_has_every_dependency_within_its_limits_and_hashed(repository, project):
    text = (repository / ".ci" / "requirements.lock").read_text()
    locked = pins(text)
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [
        line for name, lines in extras.items() if name not in ("all", "bench", "fuzz") for line in lines
    ]
    for line in wanted:
        name, limits = re.match(r"([A-Za-z0-9._-]+)(.*)", line).groups()
        assert name in locked, f"{name} is not locked: make lock"
        for sign, version in re.findall(r"(>=|<)([\d.]+)", limits):
            width = len(numbers(version))
            mine = numbers(locked[name])[:width]
            assert mine >= numbers(version) if sign == ">=" else mine < numbers(version), line
    hashed = re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(hashed) == len(locked) > 30
    assert "://" not in text
