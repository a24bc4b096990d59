"""A command as plain data: its parameters and one function. What parses them is not known here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .terminal import Terminal

#: Values by parameter name: text, None when not given; bool for a switch; int for a counter; a list for "many".
Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Param:
    """One argument (no flags) or option. kind: "text", "many" (arguments), "switch" or "count" (options). help may be a
    function, where only whoever reads it should pay for it. choices: what completion offers.

    Text stays text here: the values are read by ``cli.params``, which knows the dataclass field behind each.
    """

    name: str
    help: str | Callable[[], str]
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    panel: str = "Options"
    kind: str = "text"
    choices: Iterable[str] | Callable[[], Iterable[str]] = ()


@dataclasses.dataclass(frozen=True)
class Command:
    """One verb. run(values, terminal) returns the exit code; params is called only when the command is used.

    brief, where all parameters are dear to load: those that the arguments argv seem to need. Only a line that cannot
    be read with them is read with all.
    """

    help: str
    params: Callable[[], tuple[Param, ...]]
    run: Callable[[Values, Terminal], int]
    epilog: str | None = None
    brief: Callable[[Sequence[str]], tuple[Param, ...]] | None = None
