"""Matrix Market files that are compressed, damaged, or made to fill the memory."""

import gzip
import io
import time
import tracemalloc
import zlib

import pytest

from lowrank_cli.errors import InputError
from lowrank_cli.formats import mtx

from .mtx_read import Pipe, coordinate, refusal

TEXT = coordinate(*(f"{i} {i} {i * 0.37!r}" for i in range(1, 14)), size="40 40").encode()


def test_b19_gzip_data_cut_anywhere_are_refused(tmp_path):
    packed = gzip.compress(TEXT)
    for end in range(2, len(packed)):
        message = refusal(tmp_path, packed[:end])
        assert "gzip data end too early" in message or "the file ends" in message or "size line promises" in message


def test_b19_gzip_data_with_a_wrong_checksum_are_refused(tmp_path):
    packed = bytearray(gzip.compress(TEXT))
    packed[-5] ^= 1  # length
    assert "gzip data are damaged" in refusal(tmp_path, bytes(packed))
    packed[-5] ^= 1
    packed[-8] ^= 1  # checksum
    assert "gzip data are damaged" in refusal(tmp_path, bytes(packed))


def test_b19_very_many_members_cost_their_number_and_not_its_square(tmp_path):
    path = tmp_path / "a.mtx.gz"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(b"\n", mtime=0) * 100_000)
    begun = time.process_time()
    assert mtx.load(str(path)).item.nnz == 13
    assert time.process_time() - begun < 5  # each by itself: ten seconds and more


@pytest.mark.parametrize("tail", [b"\x00", b"x", b"\x1f", b"\x1f\x8b", b"\x1f\x8c\x00", b"1 1 5\n"])
def test_b19_garbage_behind_gzip_data_is_refused(tmp_path, tail):
    assert "gzip data" in refusal(tmp_path, gzip.compress(TEXT) + tail)


def bomb(fill: bytes, mebibytes: int, head: bytes = b"%%MatrixMarket matrix coordinate real general\n") -> bytes:
    """head and very many bytes of fill, compressed."""
    packer = zlib.compressobj(1, wbits=31)
    block = fill * ((1 << 20) // len(fill))
    return b"".join((packer.compress(head), *(packer.compress(block) for _ in range(mebibytes)), packer.flush()))


HEAD = b"%%MatrixMarket matrix coordinate real general\n3 3 2\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lambda: bomb(b"%", 60), "line 2: longer than 64 KiB"),
        (lambda: bomb(b"% comment\n", 60), "MiB of comments before the size line"),
        (lambda: bomb(b" " * 63 + b"\n", 60), "MiB of comments before the size line"),
        (lambda: bomb(b"\n", 60, HEAD), "far more text than 2 entries need"),
        (lambda: bomb(b"1", 60, HEAD), "longer than 64 KiB"),
        (lambda: bomb(b"1 1 1\n", 60, HEAD), "line 5: one entry more than the 2"),
    ],
    ids=["comment line", "comments", "blank lines", "blank lines behind", "number", "entries"],
)
def test_b20_a_gzip_bomb_is_refused_in_bounded_memory(tmp_path, content, what):
    packed = content()
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            mtx.load_stream(io.BufferedReader(Pipe(packed)), "-")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert what in str(caught.value) and peak < 40e6


@pytest.mark.parametrize("at", ["first", "header", "body"])
def test_b24_a_long_line_is_refused_with_its_number(tmp_path, at):
    long = "%" + " " * (1 << 16) if at != "body" else "1 1" + " " * (1 << 16) + "1"
    text = {"first": long, "header": f"%%MatrixMarket matrix array real general\n{long}\n1 1\n1\n",
            "body": coordinate("1 1 1", long, "1 1 1")}[at]  # fmt: skip
    assert f": line {dict(first=1, header=2, body=4)[at]}: longer than 64 KiB" in refusal(tmp_path, text)


def test_b24_a_file_of_very_many_tiny_lines_takes_little_more_than_its_matrix(tmp_path):
    path = tmp_path / "m.mtx"
    path.write_text("%%MatrixMarket matrix array integer general\n1000000 1\n" + "7\n" * 1_000_000)
    mtx.load(str(path))
    tracemalloc.start()
    try:
        loaded = mtx.load(str(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert loaded.array.sum() == 7e6 and peak < loaded.array.nbytes + 16e6
