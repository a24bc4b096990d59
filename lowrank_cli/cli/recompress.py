"""lowrank recompress: truncate saved factors, and sums and products of them, without forming a matrix."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import Exit
from ..formats import NAMED
from . import shared
from .command import Command, Param, Values
from .params import field_param, read, real
from .progress import patience
from .terminal import Terminal

if TYPE_CHECKING:
    from ..algorithms.outcome import Outcome

#: What of a budget applies: the error is always measured.
_BUDGET = ("rank", "rtol", "atol", "norm")
_OUTPUT = f"Save the factors with their report ({NAMED}); - writes a stored .npz to standard output."


def _params() -> tuple[Param, ...]:
    return (
        Param("factors", "Files of saved factors; with --product also matrices.", metavar="F...", kind="many"),
        Param(
            "product",
            "Multiply the inputs two by two: F1 F2 + F3 F4 + ..., such as LoRA pairs B A.",
            ("--product",),
            None,
            "Input",
            "switch",
        ),
        Param(
            "scale",
            "Weights of the terms of the sum, such as 1,-0.5.  [default: 1 each]",
            ("--scale",),
            "LIST",
            "Input",
        ),
        *(field_param(Budget, name) for name in _BUDGET),
        Param("output", _OUTPUT, ("-o", "--output"), "FILE", "Output"),
        shared.NO_CLOBBER,
        *shared.REPORT,
        *shared.TALK,
    )


def _run(values: Values, terminal: Terminal) -> int:
    paths, output, face = list(values["factors"]), values.get("output"), shared.face(values)
    given = {name: read(Budget, name, values.get(name)) for name in _BUDGET}
    budget = Budget(**{name: value for name, value in given.items() if value is not None}).with_defaults()
    weights, product = _weights(values.get("scale")), bool(values.get("product"))
    shared.check_inputs(paths)
    if output is not None and not shared.to_stdout(output):
        from ..formats.saving import check_suffix

        check_suffix(output)
    shared.check_output(output, paths, values, terminal)
    started = time.perf_counter()
    with patience(terminal, f"recompress {paths[0]}"):
        from ..analysis.recompress import recompress

        inputs = [_load(path, product, terminal) for path in paths]
        outcome, report = recompress(inputs, budget, product=product, scale=weights, blas_pinned=terminal.blas_pinned)
        _write(outcome, report, values, terminal)
    from ..reports.facts import with_run

    facts = shared.run_facts(
        values,
        terminal,
        input_path=paths[0] if len(paths) == 1 else None,
        input_paths=paths,
        seconds=shared.since(started),
        threads=1,
        engine="serial",
    )
    facts |= shared.output_bytes(output)
    terminal.show(face, [with_run(report, **facts)], data_on_stdout=shared.to_stdout(output))
    return _verdict(outcome, budget, output, terminal)


def _weights(text: str | None) -> list[float] | None:
    return None if text is None else [real(part.strip(), "scale") for part in text.split(",")]


def _load(path: str, product: bool, terminal: Terminal) -> Any:
    """Saved factors; in a product, anything else that is a matrix."""
    from ..formats import opening, saving

    named = path != shared.STDIN and opening.split_item(path)[1] is None
    if not product or (named and saving.is_factors(path)):
        return saving.load_factors(path)
    return shared.load(path, None, terminal)


def _write(outcome: Outcome, report: dict[str, Any], values: Values, terminal: Terminal) -> None:
    from ..formats import saving

    output = values.get("output")
    if output is None:
        return
    if shared.to_stdout(output):
        saving.write_factors_to(terminal.data_descriptor(), outcome.factor, report)
    else:
        saving.save(outcome.factor, report, output, no_clobber=bool(values.get("no_clobber")))


def _verdict(outcome: Outcome, budget: Budget, output: str | None, terminal: Terminal) -> int:
    if not budget.has_tolerance or outcome.bound_met:
        return Exit.DONE
    kept = "" if output is None else f", {output} written and marked {outcome.status.value!r}"
    advice = outcome.status.advice.rstrip(".")
    reached = outcome.certificate.relative
    terminal.warn(
        f"the tolerance asked for was not met (relative error {reached:.3g}){kept}; {advice[:1].lower()}{advice[1:]}"
    )
    return Exit.BOUND_MISSED


COMMAND = Command(
    help="Truncate saved factors, sums and products of them, to a rank or a tolerance: the best there is, in "
    "(m + n) r^2 operations; no matrix is formed.",
    params=_params,
    run=_run,
    epilog="""Examples:
  lowrank recompress A.id.npz -k 10 -o A10.npz
  lowrank recompress F.npz G.npz --scale 1,-0.5 --rtol 1e-3 -o H.npz
  lowrank recompress B.npy A.npy --product -k 4 -o lora.npz""",
)
