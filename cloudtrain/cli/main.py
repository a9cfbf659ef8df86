"""The command line's entry point: a group of verbs, each imported when it runs and not before."""

import os
import sys
from collections.abc import Sequence
from io import FileIO, TextIOWrapper
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from .. import __version__
from .errors import report_bug, told
from .verb import lightened, load_verb
from .verbs import VERBS


class VerbGroup(TyperGroup):
    """All verbs by name and help; the one that is asked for is loaded."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update({name: TyperCommand(name, short_help=help, help=help) for name, help in VERBS.items()})

    def get_params(self, ctx: Any) -> Any:
        """Return the group's own options, made light."""
        return lightened(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb itself in place of its name and help."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name else found, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; its errors become sentences and exit codes."""
        with told():
            return super().invoke(ctx)


def make_app() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(cls=VerbGroup, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(cloudtrain)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cloudtrain {__version__}")
        raise typer.Exit


def cloudtrain(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Rent a cloud GPU from your laptop, train on it, and give it back."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    _make_streams_sound()
    command = typer.main.get_command(make_app())
    try:
        command.main(args=None if arguments is None else list(arguments), prog_name="cloudtrain")
    except Exception as error:
        sys.exit(report_bug(error))


def _make_streams_sound() -> None:
    """Let no stream stop us: one that the person closed (`>&-`) leads nowhere, one of a poor encoding shows what it can."""
    sys.stdout = sys.stdout or TextIOWrapper(FileIO(os.devnull, "w"))
    sys.stderr = sys.stderr or TextIOWrapper(FileIO(os.devnull, "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
