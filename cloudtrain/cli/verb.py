"""What every verb is to Typer: a command that loads fast and takes the words after `--` as they are."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

_COMMAND = "cloudtrain.command"


class Verb(TyperCommand):
    """One verb."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, made light."""
        return lightened(super().get_params(ctx))


class CommandVerb(Verb):
    """A verb that takes a command for the machine after `--`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words after the first `--` apart: they are neither names nor options of ours."""
        if "--" in args:
            cut = args.index("--")
            ctx.meta[_COMMAND] = args[cut + 1 :]
            args = args[:cut]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Show in the usage line that a command may follow."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def lightened(params: Any) -> Any:
    """Return Typer's parameters with words and switches taken as they are.

    From 0.29 on Typer loads pydantic to turn a word into a word, which takes longer than everything else a small verb does.
    """
    for param in params:
        descriptor = getattr(param, "type_descriptor", None)
        if descriptor is not None and descriptor.annotation in (str, bool):
            param._runtime_param = _AsTyped()
    return params


def command_of(context: typer.Context) -> list[str]:
    """Return the words after `--`, none when there were none."""
    words: list[str] = context.meta.get(_COMMAND, [])
    return words


def load_verb(name: str) -> Any:
    """Import a verb's module and return its command. The module's docstringed function is named like the verb.

    The module may say `TAKES_COMMAND`, and has `EXAMPLES`: lines to type.
    """
    word = name.replace("-", "_")
    module = import_module(f".verbs.{word}", __package__)
    function: Callable[..., None] = getattr(module, word)
    examples = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES.strip().splitlines())
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    kind = CommandVerb if getattr(module, "TAKES_COMMAND", False) else Verb
    app.command(name, cls=kind, epilog=examples)(function)
    return typer.main.get_command(app)


class _AsTyped:
    """Typer's coercion of what needs none."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value."""
        del param, ctx  # handed over by these names, and not needed
        return value
