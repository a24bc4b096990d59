"""Metadata of dataclass fields: a parameter is named, defaulted, explained and checked in one place, its field."""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import Any

from .errors import UsageError


@dataclasses.dataclass(frozen=True)
class Opt:
    """What a command line and a validator need to know of one field.

    min and max are inclusive; ``above`` is an exclusive lower bound. choices lists the only accepted values.
    panel is the heading under which help shows the flag; flags are the extra spellings on the command line.
    """

    help: str
    min: float | None = None
    above: float | None = None
    max: float | None = None
    choices: tuple[str, ...] | None = None
    panel: str = "Method"
    flags: tuple[str, ...] = ()


def opt(default: Any, help: str, **limits: Any) -> Any:
    """A dataclass field with its ``Opt``."""
    return dataclasses.field(default=default, metadata={"opt": Opt(help, **limits)})


def described(kind: type) -> dict[str, tuple[dataclasses.Field, Opt]]:
    """The fields of a dataclass that carry an ``Opt``, in order."""
    return {f.name: (f, f.metadata["opt"]) for f in dataclasses.fields(kind) if "opt" in f.metadata}


def flag(name: str) -> str:
    """The long flag of a field: ``power_iters`` is spelt ``--power-iters``."""
    return "--" + name.replace("_", "-")


def whole(value: Any, name: str) -> int:
    """value as an int, NumPy's included. Raises UsageError for anything else, bool too."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise UsageError(f"{flag(name)} must be a whole number, not {value!r}") from None


def real(value: Any, name: str) -> float:
    """value as a float. Raises UsageError for anything that is not a real number."""
    if isinstance(value, (bool, complex)) or not hasattr(value, "__float__"):
        raise UsageError(f"{flag(name)} must be a number, not {value!r}")
    return float(value)


def check(values: Any) -> None:
    """Raise UsageError for the first field outside its declared range. None means not given, and passes."""
    for name, (_, spec) in described(type(values)).items():
        value = getattr(values, name)
        if value is None:
            continue
        if spec.choices is not None and value not in spec.choices:
            raise UsageError(f"{flag(name)} {value!r} is not known", hint=f"choose one of {', '.join(spec.choices)}")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_number(name, value, spec)


def _check_number(name: str, value: float, spec: Opt) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{flag(name)} must be a finite number, not {value}")
    if spec.above is not None and not value > spec.above:
        raise UsageError(f"{flag(name)} must be above {spec.above:g}, not {value}")
    if spec.min is not None and not value >= spec.min:
        raise UsageError(f"{flag(name)} must be at least {spec.min:g}, not {value}")
    if spec.max is not None and not value <= spec.max:
        raise UsageError(f"{flag(name)} must be at most {spec.max:g}, not {value}")
