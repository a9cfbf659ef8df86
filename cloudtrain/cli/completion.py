"""What the shell offers after Tab. Nothing here prints or fails: no completion is better than a broken line."""

from collections.abc import Callable


def _quiet(find: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Typer keeps those that begin like the word so far."""

    def complete() -> list[str]:
        try:
            return find()
        except Exception:  # whatever is wrong will be said when the line is run
            return []

    return complete


@_quiet
def machine_configs() -> list[str]:
    """Return the machine configs that can be named."""
    from ..config.machine import machine_names

    return list(machine_names())


@_quiet
def known_machines() -> list[str]:
    """Return the machines that were used before."""
    from .names import open_ledger

    with open_ledger() as ledger:
        return [record.spec.name for record in ledger.machines()]


@_quiet
def run_ids() -> list[str]:
    """Return the latest runs."""
    from .names import open_ledger

    with open_ledger() as ledger:
        return [run.id for run in ledger.runs()]


@_quiet
def templates() -> list[str]:
    """Return the job templates."""
    from ..config.assets import template_names

    return list(template_names())


@_quiet
def providers() -> list[str]:
    """Return the installed providers."""
    from ..providers.registry import provider_names

    return list(provider_names())
