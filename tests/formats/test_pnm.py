"""PGM and PPM images: rows of pixels as numbers, every one in range, colours only by name."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import working
from lowrank_cli.formats.opening import list_items, open_matrix

GREY = np.random.default_rng(41).integers(0, 256, (4, 5))
COLOUR = np.random.default_rng(42).integers(0, 256, (4, 5, 3))
DEEP = np.random.default_rng(43).integers(0, 65536, (4, 5))


def text(magic: str, array: np.ndarray, top: int) -> bytes:
    head = f"{magic}\n# made by hand\n{array.shape[1]} {array.shape[0]}\n{top}\n"
    return (head + "\n".join(" ".join(map(str, row)) for row in array.reshape(len(array), -1).tolist()) + "\n").encode()


def binary(magic: str, array: np.ndarray, top: int) -> bytes:
    head = f"{magic} # a comment\n{array.shape[1]}\t{array.shape[0]} {top}\n".encode()
    return head + array.astype("u1" if top < 256 else ">u2").tobytes()


def refusal(path, item: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_matrix(str(path), item)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.pgm", "a"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("content", "expected", "dtype"),
    [
        (text("P2", GREY, 255), GREY, "uint8"),
        (binary("P5", GREY, 255), GREY, "uint8"),
        (text("P2", DEEP, 65535), DEEP, "uint16"),
        (binary("P5", DEEP, 65535), DEEP, "uint16"),
    ],
)
def test_grey_images_are_their_pixels(tmp_path, name, pack, content, expected, dtype):
    path = tmp_path / name
    path.write_bytes(pack(content))
    loaded = open_matrix(str(path))
    assert (loaded.array == expected).all() and loaded.array.dtype == np.float64 and loaded.item.dtype == dtype
    assert [item.shape for item in list_items(str(path))[1]] == [(4, 5)]
    assert "no item 'red'" in refusal(path, "red")


@pytest.mark.parametrize("content", [text("P3", COLOUR, 255), binary("P6", COLOUR, 255)])
def test_a_channel_of_a_colour_image_has_to_be_named(tmp_path, content):
    path = tmp_path / "a.ppm"
    path.write_bytes(content)
    assert f"name a channel: {path}:red, {path}:green, {path}:blue" in refusal(path)
    assert "no channel 'alpha'" in refusal(path, "alpha")
    for k, name in enumerate(("red", "green", "blue")):
        assert (open_matrix(f"{path}:{name}").array == COLOUR[:, :, k]).all()
    assert [item.path for item in list_items(str(path))[1]] == ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (binary("P5", GREY, 255)[:-1], "19 of 20 bytes"),
        (binary("P5", GREY, 255) + b"x", "more bytes follow"),
        (binary("P5", GREY, 255).replace(b" 255\n", b" 100\n"), "is above 100"),
        (text("P2", GREY, 255) + b" 7", "21 values where 20"),
        (text("P2", GREY, 255)[:-6], "values where 20"),
        (text("P2", GREY, 255)[:-2] + b"x\n", "is no value"),
        (text("P2", GREY, 255)[:-2] + b"99999\n", "is above 255"),
        (b"P5\n5 4\n0\n" + bytes(20), "from 1 to 65535"),
        (b"P5\n5 4\n70000\n" + bytes(20), "from 1 to 65535"),
        (b"P5\n0 4\n255\n", "no columns"),
        (b"P5\n999999999 999999999\n255\n12", "of memory"),
        (b"P5\n9999999999999999999 2\n255\n12", "damaged"),
        (b"P5\n5 -4\n255\n" + bytes(20), "damaged"),
        (b"P5\n5", "too early"),
        (b"P5\n#\n5 #" + b"x" * 100000, "too long"),
        (b"P4\n8 1\n\x00", "bitmap"),
        (b"P5 " + b"# " * 250 + b"\x00", "damaged"),
    ],
)
def test_a_wrong_image_is_refused_by_name(tmp_path, content, words):
    path = tmp_path / "a.pgm"
    path.write_bytes(content)
    try:
        open_matrix(str(path))
    except Exception as error:
        assert words in str(error)
    else:
        pytest.fail("it was read")


@pytest.mark.parametrize(("content", "need"), [(binary("P5", GREY, 255), 180), (text("P2", GREY, 255), 1760)])
def test_an_image_in_text_takes_more_memory_than_its_pixels(tmp_path, monkeypatch, content, need):
    (tmp_path / "a.pgm").write_bytes(content)
    monkeypatch.setattr(working, "available_memory", lambda: need - 1)
    with pytest.raises(ResourceError, match="of memory"):
        open_matrix(str(tmp_path / "a.pgm"))
    monkeypatch.setattr(working, "available_memory", lambda: need)
    assert (open_matrix(str(tmp_path / "a.pgm")).array == GREY).all()


@pytest.mark.parametrize(("name", "content"), [("a", b"P1 P2\n1 2\n3 4\n"), ("a.csv", b"P2\n5\n4\n9\n")])
def test_a_table_whose_column_is_called_like_an_image_is_a_table(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert open_matrix(str(path)).names.cols == tuple(content.split(b"\n")[0].decode().split())
