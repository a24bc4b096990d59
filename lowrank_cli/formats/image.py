"""PNG, JPEG and TIFF images: grey ones as they are, of colour ones the channel that is named; read with Pillow.

A matrix has the rows of the image. No other decoder of Pillow's is asked, and the size is checked before it decodes.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

from ..errors import InputError, ResourceError
from ..lazy import np
from .choice import Entry, choose, listed
from .loaded import Format, Item, Loaded
from .optional import needed
from .working import Conversion, allocate, matrix_shape, require_memory

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
_KINDS = ("PNG", "JPEG", "TIFF")
#: Tags of TIFF, and pixels that a tile may always have.
_TILE_WIDTH, _TILE_HEIGHT, MOST_TILE = 322, 323, 1 << 22
#: Mode of Pillow's -> type of a value.
_GREY = {"1": "bool", "L": "uint8", "I;16": "uint16", "I;16B": "uint16", "I": "int32", "F": "float32"}
_COLOURS = {"RGB": ("red", "green", "blue"), "RGBA": ("red", "green", "blue", "alpha"), "LA": ("grey", "alpha")}
#: Of the names of channels, the short ones.
_SHORT = {"r": "red", "g": "green", "b": "blue", "a": "alpha"}
#: Modes whose colours are looked up or computed: seen as these.
_SEEN_AS = {"P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of a PNG, JPEG or TIFF image."""
    return head.startswith(_MAGIC)


def items(path: str) -> list[Item]:
    """The image, or its channels, from the header."""
    with _opened(path) as image:
        return listed(_entries(image, path))


def load(path: str, item: str | None = None) -> Loaded:
    """Read a grey image, or the channel ``item`` of a colour one ("red", "r").

    Raises InputError for a damaged image, and listing the channels where none is named; ResourceError when it does not
    fit in memory; DependencyError without Pillow. Cost: the image, decoded whole.
    """
    with _opened(path) as image:
        entries = _entries(image, path)
        entry, notes = choose(entries, _SHORT.get(item or "", item), path)
        shape = matrix_shape(entry.item.shape, path)
        require_memory(2 * shape[0] * shape[1] * 4, path, f"the {shape[0]} x {shape[1]} image")
        _check_tile(image, path)
        if entry.item.path is not None:
            seen = image.convert(_SEEN_AS[image.mode]) if image.mode in _SEEN_AS else image
            image = seen.getchannel([one.item.path for one in entries].index(entry.item.path))
        pixels = np.asarray(image)
        if pixels.shape != shape:
            raise InputError("lies on its side, by a tag of its own", where=path, hint="save it upright")
    conversion = Conversion(pixels.dtype)
    out = allocate(shape, conversion.target, False, path)
    conversion(pixels, out)
    return Loaded(out, path, "image", entry.item, notes)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    pillow = needed("PIL.Image", "image", path, "reading images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(path, formats=_KINDS) as image:
                image.verify()  # the checksums of PNG; the image has to be opened again then
            with pillow.open(path, formats=_KINDS) as image:
                yield image
    except (InputError, ResourceError):
        raise
    except pillow.DecompressionBombError as error:
        raise ResourceError("the image has too many pixels", where=path, hint="save it as .npy") from error
    except Exception as error:
        # Pillow raises a dozen kinds for damaged images
        line = " ".join(str(error).replace(path, "it").split())[:120] or type(error).__name__
        raise InputError(f"damaged image ({line})", where=path, hint="copy or save the file again") from error


def _check_tile(image: Any, path: str) -> None:
    """Raise InputError for a TIFF whose tiles, which are decoded whole, are far larger than the image."""
    tags = getattr(image, "tag_v2", {})
    sides = [tags.get(tag, 1) for tag in (_TILE_WIDTH, _TILE_HEIGHT)]
    if not all(isinstance(side, int) for side in sides) or math.prod(sides) > max(
        MOST_TILE, 4 * image.width * image.height
    ):
        said = " x ".join(map(str, sides))
        raise InputError(
            f"lies on tiles of {said} pixels, far more than the image has", where=path, hint="save it anew"
        )


def _entries(image: Any, path: str) -> list[Entry]:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise InputError(f"holds {frames} images, and one is read", where=path, hint="save the one that is meant alone")
    shape, detail = (image.height, image.width), f"{image.format}, mode {image.mode}"
    if image.mode in _GREY:
        width = np.dtype(_GREY[image.mode]).itemsize
        return [Entry(Item(None, shape, _GREY[image.mode], None, shape[0] * shape[1] * width, detail), True)]
    channels = _COLOURS.get(_SEEN_AS.get(image.mode, image.mode))
    if channels is None:
        raise InputError(f"an image of mode {image.mode}, which is not read", where=path, hint="save it as grey or RGB")
    return [Entry(Item(name, shape, "uint8", None, shape[0] * shape[1], detail), True) for name in channels]


FORMAT = Format("image", (".png", ".jpg", ".jpeg", ".tif", ".tiff"), matches, items, load)
