"""A stream that is seen once: whatever pieces it comes in the lines are the same, and every fault is one line."""

from __future__ import annotations

import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_cli import api
from lowrank_cli.errors import InputError, OutputError, ResourceError, UsageError
from lowrank_cli.formats import spooling
from lowrank_cli.formats.opening import list_items, open_matrix
from lowrank_cli.matrices import forwards

from .test_opening_streams import npy_bytes, stdin_gives

A = np.random.default_rng(5).standard_normal((70, 30))


class Dripping(io.RawIOBase):
    """Gives bytes in pieces of these sizes, again and again."""

    def __init__(self, content, sizes):
        self.content, self.sizes, self.turn = content, sizes, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(self.sizes[self.turn % len(self.sizes)], len(buffer))
        self.turn += 1
        part, self.content = self.content[:size], self.content[size:]
        buffer[: len(part)] = part
        return len(part)


def arriving(content, sizes, item=None):
    from lowrank_cli.formats import npy, raw
    from lowrank_cli.formats.sources import Source

    source = Source(Dripping(content, sizes), "-", "standard input", True)
    source.sniff()
    return (npy if item is None else raw).once(source, "standard input", item, 0)


def read_all(array, most):
    return np.vstack([block.copy() for _, block in forwards.blocks(array, most)])


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5), st.integers(1, 80))
@settings(deadline=None)
def test_pieces_of_any_size_make_the_same_lines(sizes, most):
    for array, kept in ((A, A), (np.asfortranarray(A), A.T), ((9 * A).astype(">i2"), (9 * A).astype(">i2"))):
        found = read_all(arriving(npy_bytes(array), sizes).array, most)
        assert np.array_equal(found, kept) and found.dtype == np.float64


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=5))
@settings(deadline=None, max_examples=20)
def test_pieces_of_any_size_give_the_same_bits(sizes):
    job = api.Job("approx", "svd", api.Budget(rank=4))
    wanted = api.run(job, arriving(npy_bytes(A), [1 << 20]))[0].factor.arrays()
    found = api.run(job, arriving(npy_bytes(A), sizes))[0].factor.arrays()
    assert all(found[name].tobytes() == wanted[name].tobytes() for name in wanted)


@pytest.mark.parametrize("lost", [1, 8, 239, 240, 241, 70 * 240 - 1, 70 * 240])
def test_a_stream_that_ends_too_early_is_truncated(lost):
    with pytest.raises(InputError, match=f"truncated: got {70 * 240 - lost} of {70 * 240} bytes"):
        read_all(arriving(npy_bytes(A)[:-lost], [1000]).array, 8)


@pytest.mark.parametrize("most", [7, 8, 70, 1000])
def test_more_than_was_announced_is_refused(most):
    with pytest.raises(InputError, match="more bytes follow the 16800 bytes"):
        read_all(arriving(npy_bytes(A) + b"x", [1000]).array, most)


@pytest.mark.parametrize("most", [1, 7, 70, 1000])
def test_a_raw_stream_has_as_many_rows_as_come(most):
    array = arriving(A.tobytes(), [999], "x30:float64").array
    assert array.shape == (None, 30) and np.array_equal(read_all(array, most), A)


def test_a_raw_stream_that_ends_inside_a_row_is_truncated():
    with pytest.raises(InputError, match="no whole number of rows of 240"):
        read_all(arriving(A.tobytes()[:-1], [999], "x30:float64").array, 8)


def test_the_rows_of_a_raw_file_are_counted(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(A.tobytes())
    assert np.array_equal(open_matrix(f"{path}:x30:float64").array, A)
    assert list_items(f"{path}:x30:float64")[1][0].shape == (70, 30)
    with pytest.raises(InputError, match="bytes follow the data"):
        open_matrix(f"{path}:x31:float64")
    path.write_bytes(b"1234")
    with pytest.raises(InputError, match="bytes follow"):
        open_matrix(f"{path}:x31:float64")


def test_a_raw_stream_without_a_number_of_rows_is_loaded_by_way_of_a_file():
    with stdin_gives(A.tobytes()):
        assert np.array_equal(open_matrix("-", "x30:float64").array, A)
    with stdin_gives(A.tobytes()), pytest.raises(InputError, match="does not say how many rows"):
        list_items("-", "x30:float64")


def test_u_needs_a_number_of_rows():
    with pytest.raises(UsageError, match="how many rows"):
        api.run(api.Job("approx", "svd", api.Budget(rank=4)), arriving(A.tobytes(), [999], "x30:float64"))


def test_a_stream_up_to_the_size_is_loaded_and_a_larger_one_is_left():
    for most, left in ((A.nbytes, False), (A.nbytes - 1, True)):
        with stdin_gives(npy_bytes(A)):
            loaded = open_matrix("-", once=most)
            assert hasattr(loaded.array, "release") == left and loaded.source == "-"
            if left:
                assert np.array_equal(read_all(loaded.array, 7), A)


def test_a_fifo_stays_open_until_its_last_line_has_come(tmp_path):
    import threading

    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    threading.Thread(target=lambda: open(path, "wb").write(npy_bytes(A))).start()
    assert np.array_equal(read_all(open_matrix(path, once=0).array, 7), A)


def test_a_failing_reader_is_an_error_of_the_input():
    class Broken(Dripping):
        def readinto(self, buffer):
            if self.turn > 3:
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    loaded = arriving(npy_bytes(A), [1000])
    loaded.array._source.raw = Broken(npy_bytes(A), [1000])
    with pytest.raises(InputError, match="reading failed"):
        read_all(loaded.array, 70)


# --spool


def spooled(tmp_path, content=None, once=None):
    with stdin_gives(npy_bytes(A) if content is None else content):
        return open_matrix("-", spool=str(tmp_path))


def test_a_spooled_stream_that_fits_is_loaded_and_its_copy_is_gone(tmp_path):
    assert np.array_equal(spooled(tmp_path).array, A) and not list(tmp_path.iterdir())


def test_the_copy_lasts_as_long_as_the_matrix_that_reads_it(tmp_path, monkeypatch):
    from lowrank_cli.formats import opening

    monkeypatch.setattr(opening, "available_memory", lambda: 1000)
    loaded = spooled(tmp_path)
    (copy,) = tmp_path.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert np.array_equal(loaded.array.part(slice(0, 70), slice(0, 30)), A)
    loaded.array._check()
    del loaded
    assert not list(tmp_path.iterdir())


def test_faults_of_a_spooled_stream_are_told_of_the_stream_and_leave_nothing(tmp_path):
    with pytest.raises(InputError, match=r"standard input: truncated") as caught:
        spooled(tmp_path, npy_bytes(A)[:-5])
    assert str(tmp_path) not in caught.value.line() and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_that_cannot_keep_a_copy_is_one_line(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="no copy can be kept there"):
        spooled(tmp_path / name)


def test_a_full_disk_is_a_matter_of_resources_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spooling, "os", SimpleNamespace(**{**vars(os), "write": full}))
    with pytest.raises(ResourceError, match=r"no room for a copy \(No space left.*give --spool a folder"):
        spooled(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_needs_no_copy(tmp_path):
    np.save(tmp_path / "a.npy", A)
    with pytest.raises(UsageError, match="--spool is for streams"):
        open_matrix(str(tmp_path / "a.npy"), spool=str(tmp_path))


def test_frequent_directions_take_rows_without_end_and_no_columns():
    job = api.Job("approx", "fd", api.Budget(rank=5))
    wanted, told = api.run(job, arriving(npy_bytes(A), [1 << 20]))
    for sizes in ([1], [999, 7]):
        found, report = api.run(job, arriving(A.tobytes(), sizes, "x30:float64"))
        assert all((found.factor.arrays()[name] == array).all() for name, array in wanted.factor.arrays().items())
        assert report["input"]["shape"] == [70, 30] and report["input"]["bytes"] == A.nbytes
        assert report["error"] == told["error"] and report["ledger"] == told["ledger"]
        assert report["input"]["digest"] is None and told["input"]["digest"] is not None
    with pytest.raises(UsageError, match="comes by columns"):
        api.run(job, arriving(npy_bytes(np.asfortranarray(A)), [999]))
