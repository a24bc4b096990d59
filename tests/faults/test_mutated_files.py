"""Damaged files of every format: an answer or one line, never another exception, a crash, a hang or much memory.

Forty a sample in every run, two thousand in the long one; the damage is drawn from fixed seeds.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from formats.factor_samples import SUFFIXES, assert_same, svd
from fuzz.reading import damaged, read
from fuzz.samples import NATIVE, SAMPLES

from lowrank_cli.errors import InputError
from lowrank_cli.formats import checkpoint_records, saving

#: Bytes that reading a damaged file of some hundred bytes may take.
MOST = 48 << 20
COUNTS = [25, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_file_is_read_or_refused_in_one_line_and_little_memory(tmp_path, name, count):
    path = tmp_path / "sample"
    refused = 0
    tracemalloc.start()
    try:
        for seed in range(count):
            path.write_bytes(damaged(SAMPLES[name], name, seed))
            refused += read(str(path))
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert refused > count / 4


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", NATIVE)
def test_a_damaged_file_crashes_no_library_underneath(tmp_path, name, count):
    """In a child, which says which file it reads; memory of the child is limited to 4 GiB."""
    command = [sys.executable, "-m", "fuzz.reading", name, "0", str(count), str(tmp_path / "sample")]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60 + count, check=False
    )
    last = done.stdout.splitlines()[-1:] or ["nothing"]
    assert done.returncode == 0, (last[0], done.returncode, done.stderr[-2000:])
    assert last[0].startswith("refused ") and int(last[0].split()[1]) > count / 10


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_file_of_factors_never_gives_another_number(tmp_path, suffix, count):
    report = {"rank": 2, "error": {"relative": 0.125}}
    saving.save(svd(), report, str(tmp_path / f"F{suffix}"))
    content = (tmp_path / f"F{suffix}").read_bytes()
    path, refused = tmp_path / f"d{suffix}", 0
    for seed in range(count):
        path.write_bytes(damaged(content, suffix, seed))
        try:
            saved = saving.load_factors(str(path))
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert_same(svd(), saved.factor)
        assert saved.report == report and saved.kind == "svd"
    assert refused > count / 2


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_folder_of_factors_never_gives_another_number(tmp_path, count):
    saving.save(svd(), {"rank": 2}, f"{tmp_path}/F/")
    whole = {path: path.read_bytes() for path in sorted((tmp_path / "F").iterdir())}
    refused = 0
    for seed in range(count):
        path = list(whole)[seed % len(whole)]
        path.write_bytes(damaged(whole[path], path.name, seed))
        try:
            assert_same(svd(), saving.load_factors(f"{tmp_path}/F/").factor)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        path.write_bytes(whole[path])
    assert refused > count / 2


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_records_of_a_checkpoint_are_those_that_were_kept_or_unreadable(tmp_path, count):
    kept = {"first": {"state": [np.arange(6.0).reshape(2, 3), 0.5], "sums": {}}, "second": (np.float32(3), None, "x")}
    content = b"".join(bytes(piece) for pair in kept.items() for piece in checkpoint_records.encode(*pair)[0])
    path, lost = tmp_path / "passes", 0
    for seed in range(count):
        path.write_bytes(damaged(content, "records", seed))
        with path.open("rb") as file:
            found = {}
            for record in checkpoint_records.records(file.fileno()):
                try:
                    found[record.key] = checkpoint_records.value(record)
                except checkpoint_records.Unreadable:
                    lost += 1
        lost += len(kept) - len(found)
        assert all(repr(value) == repr(kept[key]) for key, value in found.items())
    assert lost > count / 4
