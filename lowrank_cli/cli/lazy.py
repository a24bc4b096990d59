"""The one place that talks to typer: commands from the table, built when used. typer only parses here.

The parsed command is returned and run outside of typer, so that its handling of OSError, EOFError and of signals,
which turns them into other exit codes, never sees our work.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from .. import __version__
from ..errors import UsageError
from ..registry import find
from . import TABLE
from .command import Command, Param, Values

#: typer.BadParameter is public; what it derives from is not, and moved when typer took click in (0.26).
_ParserError: Any = typer.BadParameter.__mro__[2]
_CONTEXT = {"help_option_names": ["-h", "--help"]}


@dataclasses.dataclass(frozen=True)
class Request:
    """A parsed command line."""

    name: str
    command: Command
    values: Values


def parse(argv: list[str]) -> Request | int:
    """The request a command line makes, or an exit code when it only asked for help or the version.

    Raises UsageError for what cannot be understood.
    """
    helped = "--help" in argv or "-h" in argv
    for brief in (False,) if helped else (True, False):
        try:
            return _root().main(args=list(argv), prog_name="lowrank", standalone_mode=False, obj=brief)
        except _ParserError as error:
            if not brief:
                raise _usage_error(error, argv) from error
    raise AssertionError("unreachable")


def _usage_error(error: Any, argv: list[str]) -> UsageError:
    message = error.format_message().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    near = getattr(error, "possibilities", None)
    if near:
        message = error.message.rstrip(".")
    dashed = [a for a in argv if a.startswith("-") and a != "-" and os.path.lexists(a)]
    if dashed:
        hint = f"for the file of that name write ./{dashed[0]}"
    elif near:
        hint = f"did you mean {near[0]}?"
    else:
        verb = " ".join(["lowrank", *(a for a in argv[:1] if a in TABLE)])
        hint = f"see {context.command_path if context else verb} --help"
    return UsageError(message[:1].lower() + message[1:], hint=hint)


class _Paneled(TyperCommand):
    """Plain help with the options under the headings of their panels, and no option twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        seen: set[str] = set()
        for param in order:
            if param.param_type_name != "option" or param.name == "help" or getattr(param, "count", False):
                continue
            name = max(param.opts, key=len)
            if name in seen:
                raise UsageError(f"{name} is given twice", hint="give it once")
            seen.add(name)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments by their plain names: newer versions of typer put required ones in braces."""
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(p.metavar or (p.name or "").upper() for p in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                is_argument = param.param_type_name == "argument"
                panel = "Arguments" if is_argument else getattr(param, "rich_help_panel", None) or "Options"
                panels.setdefault(panel, []).append(record)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """As written: examples are lines, not a paragraph."""
        if self.epilog:
            formatter.write("\n" + self.epilog.rstrip() + "\n")


class _Verbs(TyperGroup):
    """The root: verbs listed from the table, each built when it is called."""

    _rest: list[str] | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        return list(TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _build(cmd_name, TABLE[cmd_name].load(), self._rest, ctx.obj) if cmd_name in TABLE else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self._rest = list(args[1:])
        if args[0] not in TABLE and not args[0].startswith("-") and not ctx.resilient_parsing:
            find(TABLE, args[0], "command")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in TABLE.items()])


#: Options of the command itself that take the name of a shell.
_SHELL: dict[str, Any] = {"metavar": "SHELL", "is_eager": True}


def _root() -> Any:
    app = typer.Typer(
        cls=_Verbs,
        name="lowrank",
        context_settings=_CONTEXT,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        add_completion=False,
        help="Low-rank matrix approximation with certified errors.",
        epilog="lowrank COMMAND --help tells more. Report to stdout, everything else to stderr.",
    )

    @app.callback()
    def root(
        context: typer.Context,
        version: Annotated[
            bool, typer.Option("--version", "-V", is_eager=True, callback=_version, help="Show the version and exit.")
        ] = False,
        show_completion: Annotated[
            str | None,
            typer.Option(**_SHELL, callback=_show_completion, help="Print the completion script of bash, zsh or fish."),
        ] = None,
        install_completion: Annotated[
            str | None,
            typer.Option(**_SHELL, callback=_install_completion, help="Put that script where the shell finds it."),
        ] = None,
    ) -> None:
        if context.invoked_subcommand is None:
            raise UsageError("no command given", hint=f"choose one of {', '.join(TABLE)}, or see lowrank --help")

    return typer.main.get_command(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lowrank {__version__}")
        raise typer.Exit()


def _show_completion(shell: str | None) -> None:
    if shell is not None:
        from .completion import script

        typer.echo(script(shell), nl=False)
        raise typer.Exit()


def _install_completion(shell: str | None) -> None:
    if shell is not None:
        from .completion import install

        typer.echo(f"{install(shell)} written; it serves the shells that are started from now on")
        raise typer.Exit()


def _build(name: str, command: Command, argv: list[str] | None, brief: bool) -> Any:
    """The parser of a command; brief: of what argv seems to need, without its help."""

    def callback(**values: Any) -> Request:
        return Request(name, command, values)

    few = command.brief if brief and argv is not None else None
    parameters = [_parameter(p, brief) for p in (command.params() if few is None else few(argv or []))]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.command(name, cls=_Paneled, context_settings=_CONTEXT, help=command.help, epilog=command.epilog)(callback)
    return typer.main.get_command(app)


def _parameter(param: Param, brief: bool) -> inspect.Parameter:
    kind: Any
    help = "" if brief else param.help if isinstance(param.help, str) else param.help()
    default: Any
    if not param.flags:
        kind, default = (list[str] if param.kind == "many" else str), inspect.Parameter.empty
        info = typer.Argument(metavar=param.metavar, help=help, show_default=False)
    else:
        kind, default = {"switch": (bool, False), "count": (int, 0)}.get(param.kind, (str | None, None))
        info = typer.Option(
            *param.flags,
            metavar=None if param.kind in ("switch", "count") else param.metavar or "TEXT",
            help=help,
            show_default=False,
            count=param.kind == "count",
            rich_help_panel=param.panel,
        )
    where = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(param.name, where, default=default, annotation=Annotated[kind, info])
