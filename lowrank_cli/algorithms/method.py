"""A method: a name, its options, and one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..budget import Budget
from .outcome import Outcome


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of the table of methods, loaded.

    options is a frozen dataclass of at most six fields made with ``options.opt``; flags, help, defaults and ranges
    are read from it. run(matrix, budget, options, streams) -> Outcome; a product method gets a ``Product`` as matrix.
    companions: names in ``companions.COMPANIONS`` of second matrices, of which it takes exactly one; run then has a
    fifth argument, a dict of that name and the matrix as a ``Metered`` with the ledger of the first. limited: a request
    with neither rank nor tolerance gets the default tolerance. cost says in words what the ledger is held to in the
    tests; guarantee what is known of the error, choose when to take this one: they make its row in docs/methods.md.
    """

    name: str
    options: type
    run: Callable[..., Outcome]
    identity: str
    cost: str
    reference: str
    guarantee: str
    choose: str
    of_product: bool = False
    companions: tuple[str, ...] = ()
    limited: bool = True
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)

    def completed(self, budget: Budget) -> Budget:
        """The budget with the default tolerance, where this method is meant to have one."""
        return budget.with_defaults() if self.limited and not self.of_product else budget
