"""Names for the columns or rows that are chosen: read from a file, meant in lists, told in the report."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..options import flag
from .command import Param, Values

if TYPE_CHECKING:
    from ..api import Job

NAMES = Param(
    "names",
    "Names of the columns, with --axis rows of the rows (id): a text file, one on each line, or strings in HDF5, "
    "FILE.h5:/ITEM. The report tells the chosen ones, --must-include and --exclude may use them.",
    ("--names",),
    "FILE",
    "Method",
)
_LISTS = ("must_include", "exclude")
_WORDS = {"cols": "column", "rows": "row"}


@dataclasses.dataclass(frozen=True)
class Names:
    """The names along one axis, in order."""

    axis: str
    words: list[str]

    def resolved(self, job: Job) -> Job:
        """The job with indices in the place of names in its lists. Raises UsageError for a name that none has, or
        several have."""
        lists = {name: getattr(job.options, name) for name in _LISTS if getattr(job.options, name) is not None}
        meant = {name: self._indices(text, name) for name, text in lists.items()}
        return dataclasses.replace(job, options=dataclasses.replace(job.options, **meant))

    def _indices(self, text: str, name: str) -> str:
        at: dict[str, list[int]] = {}
        for i, word in enumerate(self.words):
            at.setdefault(word, []).append(i)
        found = []
        for token in (part.strip() for part in text.split(",")):
            same = at.get(token, [])
            if len(same) > 1:
                raise UsageError(
                    f"{flag(name)}: {token!r} is the name of {len(same)} {_WORDS[self.axis]}s, {same[0]} and {same[1]} "
                    "among them",
                    hint="give the index",
                )
            if not same and not token.replace(":", "").isdecimal():
                raise UsageError(
                    f"{flag(name)}: no {_WORDS[self.axis]} is named {token[:40]!r}",
                    hint="names are compared letter by letter",
                )
            found.append(str(same[0]) if same else token)
        return ",".join(found)

    def told(self, report: dict[str, Any], factor: Any) -> dict[str, Any]:
        """The report with the names of what was chosen, in order of choice."""
        chosen = [self.words[i] for i in factor.arrays()[self.axis]]
        return report | {"method_facts": {**report["method_facts"], f"{self.axis}_names": chosen}}


def check(values: Values, method: str, options: Any) -> None:
    """Raise UsageError when names are given where nothing is chosen by one axis."""
    if values.get("names") is None:
        return
    if method != "id":
        raise UsageError("--names names what --method id chooses", hint="use --method id, or leave --names out")
    if options.axis == "both":
        raise UsageError("--names with --axis both could name columns or rows", hint="use --axis cols or rows")


def load(values: Values, options: Any, shape: tuple[int, int]) -> Names | None:
    """The names asked for; None without. Raises InputError when they are not as many as the matrix has."""
    path = values.get("names")
    if path is None:
        return None
    from ..formats.names import read_names

    words, wanted = read_names(path), shape[0 if options.axis == "rows" else 1]
    if len(words) != wanted:
        raise InputError(
            f"holds {len(words)} names, but the matrix has {wanted} {_WORDS[options.axis]}s",
            where=path,
            hint="one name for each" + (", or --axis rows" if len(words) == shape[0] != wanted else ""),
        )
    return Names(options.axis, words)
