"""The kernel of a kernel matrix, as it is spelt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from .command import Param
from .params import real

if TYPE_CHECKING:
    from ..matrices.kernel import Kernel

PARAM = Param(
    "kernel",
    "Take A as n points, one a row, and factor their n x n kernel matrix, which is never stored: gaussian:S is "
    "exp(-|x-y|^2 / 2 S^2), laplace:S is exp(-|x-y|_1 / S).",
    ("--kernel",),
    "NAME:S",
    "Input",
)


def read(text: str | None) -> Kernel | None:
    """The kernel that NAME:S spells."""
    if text is None:
        return None
    from ..matrices.kernel import Kernel

    name, colon, scale = text.partition(":")
    if not colon:
        raise UsageError(f"--kernel {text!r} has no scale", hint="write it like gaussian:1.5")
    return Kernel(name, real(scale, "kernel"))
