"""Tables of names: lazy, and helpful about what they do not hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lowrank_cli import algorithms, engines, factors, formats, sketches
from lowrank_cli.errors import UsageError
from lowrank_cli.registry import Entry, find

TABLES = {
    "algorithms": algorithms.TABLE,
    "engines": engines.TABLE,
    "formats": formats.TABLE,
    "writers": formats.WRITERS,
    "sketches": sketches.TABLE,
    "factors": {f"{kind} {i}": entry for kind, forms in factors.TABLE.items() for i, entry in enumerate(forms)},
}


@pytest.mark.parametrize("table", TABLES)
def test_every_entry_loads_and_has_a_summary(table):
    for name, entry in TABLES[table].items():
        assert entry.load() is not None and entry.summary.strip(), name


@pytest.mark.parametrize(
    ("asked", "meant"), [("svdd", "svd"), ("SVD", None), ("i", None), ("curr", "cur"), ("", None), ("crr", "cr")]
)
def test_an_unknown_name_is_answered_with_the_nearest_one_or_all(asked, meant):
    with pytest.raises(UsageError, match="unknown method") as refused:
        find(algorithms.TABLE, asked, "method")
    line = refused.value.line()
    assert repr(asked) in line and "\n" not in line
    if meant:
        assert f"did you mean {meant}?" in line
    else:
        assert all(name in line for name in algorithms.TABLE) or "did you mean" in line


def test_a_name_in_the_table_is_loaded():
    assert find({"x": Entry("math:tau", "a number")}, "x", "number") == pytest.approx(6.283185307)


def test_tables_are_read_without_numpy():
    code = (
        "import sys\n"
        "from lowrank_cli import algorithms, engines, factors, formats, sketches\n"
        "for table in (algorithms.TABLE, engines.TABLE, formats.TABLE, formats.WRITERS, sketches.TABLE):\n"
        "    [(name, entry.summary) for name, entry in table.items()]\n"
        "heavy = {'numpy', 'scipy', 'numba', 'h5py', 'typer', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
