"""Floor 1: test matrices that exist by row blocks."""

from __future__ import annotations

from collections.abc import Mapping

from ..registry import Entry

TABLE: Mapping[str, Entry] = {
    "gaussian": Entry("lowrank_cli.sketches.gaussian:gaussian", "independent standard normal entries"),
}
