"""What SECURITY.md promises of the source, and that the tests it names exist."""

from __future__ import annotations

import ast
import fnmatch
import re

import pytest

#: Modules that turn bytes into objects or code, and the one file that speaks with workers, which have to.
NEVER = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "code", "codeop"}
WORKERS = "spread_tasks.py"


@pytest.fixture(scope="module")
def sources(repository):
    return {path: ast.parse(path.read_text()) for path in (repository / "lowrank_cli").rglob("*.py")}


def test_nothing_unpickles_evaluates_or_loads_yaml(sources):
    for path, tree in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and path.name != WORKERS:
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not NEVER & {name.split(".")[0] for name in names}, (path, node.lineno)
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else ""
                assert called not in {"eval", "exec", "compile"}, (path, node.lineno)
                assert not any(one.arg in ("allow_pickle", "shell") for one in node.keywords), (path, node.lineno)
            if isinstance(node, ast.Attribute):
                whole = ast.unparse(node)
                assert whole not in {"np.load", "np.fromregex", "numpy.load", "os.system", "os.popen"}, (path, whole)


def test_only_what_is_sent_to_workers_is_pickled(sources):
    """No reader of files reaches the file that pickles."""
    for path, tree in sources.items():
        if path.parent.name == "formats":
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom):
                    assert "spread" not in (node.module or ""), path


def test_workers_of_this_machine_listen_on_it_alone(cluster):
    found = cluster.everywhere(int)
    assert found and all(address.startswith("tcp://127.0.0.1:") for address in found)


def test_every_test_that_the_page_names_exists(repository):
    page = (repository / "SECURITY.md").read_text()
    tests = [*(repository / "tests").rglob("test_*.py")]
    functions = [name for file in tests for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)]
    named = re.findall(r"`(test_\w+\*?)`", page)
    assert len(named) > 15
    assert [name for name in named if not fnmatch.filter(functions, name)] == []
    for place in re.findall(r"`(tests/[\w/.]+)`", page):
        assert (repository / place).exists(), place
