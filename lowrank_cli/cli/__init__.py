"""Floor 6: argv and the terminal. One file a command, one line in this table."""

from __future__ import annotations

from collections.abc import Mapping

from ..registry import Entry

#: verb -> its ``Command``. Listing the verbs loads none of them.
TABLE: Mapping[str, Entry] = {
    "approx": Entry("lowrank_cli.cli.approx:COMMAND", "Factor a matrix to a rank or a tolerance; report; save."),
    "product": Entry("lowrank_cli.cli.product:COMMAND", "Approximate X Y from sampled columns of X and rows of Y."),
    "spectrum": Entry("lowrank_cli.cli.spectrum:COMMAND", "Singular values, norms and effective ranks; picture."),
    "norm": Entry("lowrank_cli.cli.norm:COMMAND", "Norms with their certainty; gradient of the spectral norm."),
    "pinv": Entry("lowrank_cli.cli.pinv:COMMAND", "Pseudo-inverse, as factors or dense; least squares solutions."),
    "plan": Entry("lowrank_cli.cli.plan:COMMAND", "Which rank to ask for: error, bytes and cost of every rank."),
    "compare": Entry("lowrank_cli.cli.compare:COMMAND", "Every structure side by side on one matrix."),
    "msign": Entry("lowrank_cli.cli.msign:COMMAND", "Matrix sign, or polar factor: the nearest partial isometry."),
    "info": Entry("lowrank_cli.cli.info:COMMAND", "Say what files hold, from their headers."),
    "reconstruct": Entry("lowrank_cli.cli.reconstruct:COMMAND", "Multiply saved factors back to a dense matrix."),
    "recompress": Entry(
        "lowrank_cli.cli.recompress:COMMAND", "Truncate saved factors, their sums and products, further."
    ),
    "apply": Entry("lowrank_cli.cli.apply:COMMAND", "Multiply a block of columns by saved factors."),
    "convert": Entry("lowrank_cli.cli.convert:COMMAND", "Write saved factors, or a matrix, in another format."),
    "verify": Entry("lowrank_cli.cli.verify:COMMAND", "Hold saved factors against their matrix; exit 8 if they lie."),
    "list": Entry("lowrank_cli.cli.list:COMMAND", "List the methods or the file formats."),
    "doctor": Entry("lowrank_cli.cli.doctor:COMMAND", "Say what this installation and machine can do."),
    "warmup": Entry("lowrank_cli.cli.warmup:COMMAND", "Compile the kernels once, ahead of the first big matrix."),
}
