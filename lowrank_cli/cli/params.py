"""Parameters of commands, read from the dataclass fields behind them, and their texts turned into values.

Numbers are read here and not by the parser, which takes ``1_000``, ``inf`` and numbers that round to zero.
"""

from __future__ import annotations

import math
import re
import types
import typing
from typing import Any

from ..algorithms import TABLE as METHODS
from ..budget import Budget
from ..errors import UsageError
from ..options import Opt, described, flag
from ..plugins import problem
from ..registry import find
from .command import Param, Values

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SIZE = re.compile(r"([0-9.eE+-]+?)\s*([kKMGTP]?)(i?)[bB]?")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_METAVARS = {int: "N", float: "X", str: "NAME"}


def whole(text: str, name: str) -> int:
    """The whole number a text spells in decimal digits. Raises UsageError naming the flag."""
    if not _WHOLE.fullmatch(text):
        raise UsageError(f"{flag(name)} must be a whole number, not {text!r}", hint="write it in digits, such as 100")
    if len(text.lstrip("+-0")) > 20 or abs(int(text)) >= 2**64:
        raise UsageError(f"{flag(name)} is out of range: {text[:40]}")
    return int(text)


def real(text: str, name: str) -> float:
    """The finite number a text spells. Raises UsageError when it spells none, or one too large or too small."""
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{flag(name)} must be a finite number, not {text!r}", hint="write it like 0.01 or 1e-6")
    value = float(text)
    mantissa = re.split("[eE]", text)[0]
    if math.isinf(value) or (value == 0 and mantissa.strip("+-0.")):
        raise UsageError(f"{flag(name)} is out of the range of a float64: {text[:40]}")
    return value


def kind_of(owner: type, name: str) -> type:
    """int, float, bool or str: what a field holds when it is not None."""
    hint = typing.get_type_hints(owner)[name]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    return hint if hint in (int, float, bool) else str


def read(owner: type, name: str, given: Any) -> Any:
    """The value of a field from what the command line gave; None when it gave nothing."""
    if not isinstance(given, str):
        return given or None
    reader = {int: whole, float: real}.get(kind_of(owner, name))
    return given if reader is None else reader(given, name)


def size(text: str, name: str) -> int:
    """The bytes a text spells: 10M is 10 000 000, 10MiB is 10 times 2**20.

    Raises UsageError for what is no size, or less than one byte.
    """
    found = _SIZE.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise UsageError(f"{flag(name)} must be a size, not {text!r}", hint="write it like 500k, 10M or 1.5GiB")
    count = real(found[1], name) * (1024 if found[3] else 1000) ** _POWERS[found[2].upper()]
    if not 1 <= count < 2**63:
        raise UsageError(f"{flag(name)} is out of range: {text[:40]}", hint="write it like 500k, 10M or 1.5GiB")
    return int(count)


def field_param(owner: type, name: str, note: str = "", flags: tuple[str, ...] = ()) -> Param:
    """The option that sets one field."""
    field, spec = described(owner)[name]
    kind = kind_of(owner, name)
    return Param(
        name,
        note + spec.help + _range(spec, field.default),
        (*(flags or spec.flags), flag(name)),
        _METAVARS.get(kind, "TEXT"),
        spec.panel,
        "switch" if kind is bool else "text",
        spec.choices or (),
    )


def _range(spec: Opt, default: Any) -> str:
    facts = []
    if spec.choices is not None:
        facts.append("one of " + ", ".join(spec.choices))
    if spec.min is not None:
        facts.append(f"at least {spec.min:g}")
    if spec.above is not None:
        facts.append(f"above {spec.above:g}")
    if spec.max is not None:
        facts.append(f"at most {spec.max:g}")
    if default is not None and not isinstance(default, bool):
        facts.append(f"default: {default}")
    return f"  [{'; '.join(facts)}]" if facts else ""


def budget_params(*, rank_flags: tuple[str, ...] = ()) -> list[Param]:
    return [field_param(Budget, n, flags=rank_flags if n == "rank" else ()) for n in described(Budget)]


def read_budget(values: Values) -> Budget:
    """The budget asked for. Raises UsageError for a value out of range."""
    given = {n: read(Budget, n, values.get(n)) for n in described(Budget)}
    return Budget(**{n: v for n, v in given.items() if v is not None})


def owners(names: tuple[str, ...] | None = None) -> dict[str, dict[str, type]]:
    """option name -> {method: options dataclass}, over all methods or those called for."""
    found: dict[str, dict[str, type]] = {}
    for method, loaded in METHODS.loaded() if names is None else ((n, METHODS[n].load()) for n in names):
        for name in described(loaded.options):
            found.setdefault(name, {})[method] = loaded.options
    return found


def method_params(names: tuple[str, ...] | None = None, taken: frozenset[str] = frozenset()) -> list[Param]:
    """The flags of methods' own options, all or those called for; one that several methods have appears once. taken:
    names that mean something else, which the option of another package's method cannot have."""
    made = []
    for name, methods in owners(names).items():
        if name in taken:
            problem(f"option {flag(name)} of method {', '.join(methods)} is left out: lowrank has one of that name")
            continue
        first = next(iter(methods.values()))
        owned = ", ".join(methods)
        told = (names is not None and len(names) == 1) or f"({owned})" in described(first)[name][1].help
        made.append(field_param(first, name, "" if told else f"{owned}: "))
    return made


def read_options(method: str, values: Values, others: frozenset[str]) -> Any:
    """The options of ``method`` from what was given; others: names of parameters that are no method's.

    Raises UsageError for a flag that is another method's.
    """
    options = find(METHODS, method, "method").options
    own = described(options)
    asked = {name: value for name, value in values.items() if value not in (None, False) and name not in others}
    for name in asked:
        if name not in own:
            belongs = " and ".join(owners()[name])
            raise UsageError(
                f"{flag(name)} belongs to method {belongs}, not {method}",
                hint=f"leave it out, or use --method {belongs}",
            )
    return options(**{name: read(options, name, value) for name, value in asked.items()})
