"""What is written of a factorization: all of it with its report, one of its arrays, or its product."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..errors import UsageError
from ..factors import TABLE as FACTORS
from . import shared
from .command import Values
from .terminal import Terminal

#: Part of a factorization that is none of its arrays: the dense product of all.
PRODUCT = "product"


def check(kind: str, output: str | None, part: str | None) -> None:
    """Names of files and parts that cannot come true, found before any work."""
    if part is None:
        if output is not None and not shared.to_stdout(output):
            from ..formats.saving import check_suffix

            check_suffix(output)
        return
    if output is None:
        raise UsageError("--part says what to write, but not where", hint="add -o FILE.npy, or -o - for a pipe")
    if not shared.to_stdout(output):
        shared.check_array_name(output)
    forms = [entry.load() for entry in FACTORS[kind]] if kind in FACTORS else []
    names = dict.fromkeys(field.name for form in forms for field in dataclasses.fields(form))
    if forms and part != PRODUCT and part not in names:
        raise UsageError(f"--part {part!r} is not in the factors", hint=f"choose one of {', '.join([*names, PRODUCT])}")


def part_of(factor: Any, name: str) -> Any:
    """One array of a factorization, dense, or its product. Raises UsageError when there is no such array."""
    from ..factors.base import dense

    if name == PRODUCT:
        return factor.reconstruct()
    arrays = factor.arrays()
    if name not in arrays:
        raise UsageError(
            f"--part {name!r} is not in the factors", hint=f"choose one of {', '.join([*arrays, PRODUCT])}"
        )
    return dense(arrays[name])


def write(
    factor: Any, report: dict[str, Any], part: str | None, output: str | None, values: Values, terminal: Terminal
) -> None:
    """Write the factors with their report, or one part of them."""
    if output is None:
        return
    from ..formats import saving

    no_clobber = bool(values.get("no_clobber"))
    if part is not None:
        array = part_of(factor, part)
        if shared.to_stdout(output):
            saving.write_array_to(terminal.data_descriptor(), array)
        else:
            saving.write_array(array, output, no_clobber=no_clobber)
    elif shared.to_stdout(output):
        saving.write_factors_to(terminal.data_descriptor(), factor, report)
    else:
        saving.save(factor, report, output, no_clobber=no_clobber)
