"""Named random streams: who draws numbers says for what, and no two purposes share any.

A stream is cut into blocks of 4096 rows. Each block has its own Philox key, a hash of (stream version, seed, purpose,
block), so any block can be drawn anywhere, in any order, by any thread or worker. Inside a block numbers are drawn
column by column, so a wider block extends a narrower one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from .errors import UsageError
from .lazy import np
from .options import whole

if TYPE_CHECKING:
    import numpy

#: Name of the stream, stored in every output. A change of any bit drawn below needs a new name.
STREAM = "philox4x64-sha256-rows4096/1"
BLOCK_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class Streams:
    """All random numbers of one run, from one seed in 0 .. 2**64 - 1. inside: what the purposes are a part of."""

    seed: int = 0
    inside: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole(self.seed, "seed"))
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"--seed must be from 0 to 2**64 - 1, not {self.seed}")

    def within(self, purpose: str) -> Streams:
        """The streams of a part of the work, whose purposes share numbers with no other part."""
        return dataclasses.replace(self, inside=f"{self.inside}{purpose}/")

    def generator(self, purpose: str, block: int = 0) -> numpy.random.Generator:
        """The generator of one block of the stream called ``purpose``."""
        digest = hashlib.sha256(f"{STREAM}|{self.seed}|{self.inside}{purpose}|{block}".encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
