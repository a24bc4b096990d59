"""A method: a name, its options, and one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..budget import Budget
from ..errors import UsageError
from .outcome import Outcome


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of the table of methods, loaded.

    options is a frozen dataclass of at most six fields made with ``options.opt``; flags, help, defaults and ranges
    are read from it. run(matrix, budget, options, streams) -> Outcome; a product method gets a ``Product`` as matrix.
    companions: names in ``companions.COMPANIONS`` of second matrices, of which it takes exactly one; run then has a
    fifth argument, a dict of that name and the matrix as a ``Metered`` with the ledger of the first. limited: a request
    with neither rank nor tolerance gets the default tolerance. rank: the only one its results have, for a method
    without a choice. least_passes: the fewest that --passes can hold it to; None: how many it takes follows from the
    matrix alone. whole: it works on all of the matrix in memory, dense. spectrum: its outcomes hold singular values of
    the matrix. single_pass: it can do with a ``matrices.once.Once``, when the budget allows one pass. of_gram: its
    factor stands for A^H A, not for A. narrow: its factors are those of the SVD in the type of the stored values,
    even where that is float16 or bfloat16. needs(matrix, budget, options): bytes of memory by component, of a method
    whose needs are not those of a truncated SVD. cost says in words what the ledger is held to in the tests; guarantee
    what is known of the error, choose when to take this one: they make its row in docs/methods.md.
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
    rank: int | None = None
    least_passes: int | None = None
    whole: bool = False
    spectrum: bool = False
    single_pass: bool = False
    of_gram: bool = False
    narrow: bool = False
    needs: Callable[[Any, Budget, Any], dict[str, int]] | None = None
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)

    def completed(self, budget: Budget) -> Budget:
        """The budget with the default tolerance, where this method is meant to have one, or with the only rank it has.

        Raises UsageError for another rank.
        """
        if self.rank is None:
            return budget.with_defaults() if self.limited and not self.of_product else budget
        if budget.rank not in (None, self.rank):
            raise UsageError(f"--method {self.name} has rank {self.rank}, not {budget.rank}", hint="leave --rank out")
        return budget if budget.has_tolerance else dataclasses.replace(budget, rank=self.rank)

    def settled(self, budget: Budget, once: bool) -> Budget:
        """The completed budget with nothing left open; once: the matrix can be read one time.

        Raises UsageError when this method, or what is asked of it, takes more passes than there are.
        """
        if once:
            budget = dataclasses.replace(budget, passes=1)
        if budget.passes == 1 and not self.single_pass:
            raise UsageError(
                f"--method {self.name} reads the matrix more than once",
                hint="svd, qb, lora and fd need one pass; --spool DIR keeps a stream for the others",
            )
        if budget.passes not in (None, 1) and not self.least_passes:
            raise UsageError(
                f"--method {self.name} cannot be held to --passes {budget.passes}",
                hint="svd, qb and lora can; how many passes the others take follows from the matrix",
            )
        return self.completed(budget).settled()

    def within(self, budget: Budget) -> Budget:
        """The budget with the rank lowered to that of a method without a choice."""
        if self.rank is None or budget.rank is None:
            return budget
        return dataclasses.replace(budget, rank=min(budget.rank, self.rank))
