"""Second matrices that a command line may name: the other factor of a product, a given factor, weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Companion:
    """A second matrix that some methods are given: the method it calls for when none is named, and what help says."""

    method: str
    help: str
    metavar: str


#: Name of the flag, of the parameter and of the report's block -> what it is. A method names those it takes.
COMPANIONS: Mapping[str, Companion] = {
    "times": Companion("cr", "Second factor: approximate A Y (method cr).", "Y"),
    "left": Companion("given", "Given left factor: find the best right one (method given).", "L"),
    "right": Companion("given", "Given right factor: find the best left one (method given).", "R"),
    "weight": Companion("weighted", "Rows the matrix is applied to: minimize |(A - B) X^T| (method weighted).", "X"),
    "gram": Companion("weighted", "Their Gram matrix H = X^T X in place of X (method weighted).", "H"),
}
