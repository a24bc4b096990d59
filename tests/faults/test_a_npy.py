"""Rows of .npy files that take the whole command; the reader's own are in ``tests/formats``, under the same names."""

from __future__ import annotations

import numpy as np
import pytest

import lowrank_cli

A = np.random.default_rng(2).standard_normal((60, 40))


def bits(path: str) -> list[bytes]:
    return [array.tobytes() for array in lowrank_cli.approx(path, rank=5).factor.arrays().values()]


@pytest.fixture
def plain(tmp_path) -> list[bytes]:
    np.save(tmp_path / "c.npy", A)
    return bits(str(tmp_path / "c.npy"))


def test_a15_fortran_order_gives_the_same_bits(tmp_path, plain):
    np.save(tmp_path / "f.npy", np.asfortranarray(A))
    assert bits(str(tmp_path / "f.npy")) == plain


def test_a16_big_endian_gives_the_same_bits(tmp_path, plain):
    np.save(tmp_path / "b.npy", A.astype(">f8"))
    assert bits(str(tmp_path / "b.npy")) == plain


def test_a21_a_file_of_holes_is_zeros_within_the_plan(tmp_path, shell):
    path = tmp_path / "holes.npy"
    np.save(path, np.zeros((0, 256)))
    head = path.read_bytes().replace(b"(0, 256), }    ", b"(81920, 256), }")
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(len(head) + 8 * 81920 * 256)
    done = shell("L approx holes.npy -k 1 --memory 156M --json")
    assert done.returncode == 0 and b'"absolute": 0' in done.stdout, done
