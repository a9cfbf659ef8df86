"""prices: where prices come from, how old they are, and newer ones."""

from typing import Annotated, Literal

import typer

from ...model.errors import ConfigError, ExitCode
from .. import completion
from ..listener import listening
from ..options import Json
from ..price_sources import SHIPPED, PriceSource, damaged_copy, price_sources, refresh_prices
from ..render import document, note, warning
from ..tables import table

EXAMPLES = """
cloudtrain prices
cloudtrain prices refresh
cloudtrain prices refresh --region us-east-1 --region eu-west-1
"""

Action = Annotated[
    Literal["show", "refresh"],
    typer.Argument(metavar="[show|refresh]", help="Look, or ask a cloud for the prices of today.", show_default=False),
]
ProviderOption = Annotated[
    str | None,
    typer.Option(
        "--provider", metavar="NAME", help="Refresh this one.", show_default=False, autocompletion=completion.providers
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION", help="Refresh this region; may be repeated.", show_default=False),
]


def prices(action: Action = "show", provider: ProviderOption = None, region: Regions = None, as_json: Json = False) -> None:
    """Say how old the prices are, or ask for those of today.

    A table of prices comes with cloudtrain. `refresh` reads the prices of every GPU type in a region into a copy of your own;
    of the two the newer price counts. Without --region it reads the regions of the machine configs that come with cloudtrain.
    """
    if action == "refresh":
        _refresh(provider or "aws", tuple(region or ()), as_json=as_json)
        return
    if provider or region:
        raise ConfigError("--provider and --region say what to refresh", "cloudtrain prices refresh --region REGION")
    _show(as_json=as_json)


def _show(*, as_json: bool) -> None:
    sources, damaged = price_sources(), damaged_copy()
    if as_json:
        document({"prices": sources, "damaged": damaged})
        return
    headers = ("PROVIDER", "FROM", "TYPES", "REGIONS", "PRICES OF")
    table(headers, [_row(source) for source in sources], right=("TYPES", "REGIONS"))
    if damaged is not None:
        warning(damaged.message)
    note("Read those of today: cloudtrain prices refresh")


def _row(source: PriceSource) -> tuple[str, ...]:
    came = "came with cloudtrain" if source.origin == SHIPPED else source.origin
    dates = str(source.newest) if source.oldest == source.newest else f"{source.oldest} to {source.newest}"
    return (source.provider, came, str(source.types), str(source.regions), dates)


def _refresh(provider: str, regions: tuple[str, ...], *, as_json: bool) -> None:
    with listening(as_json=False) as listener:
        done = refresh_prices(provider, regions, listener.tell)
    for finding in done.failed:
        warning(f"{finding.subject} stays as it was: {finding.message}")
    if as_json:
        document(done)
    else:
        note(f"Written: {done.path}")
    if done.failed:
        raise typer.Exit(int(ExitCode.NOTHING_SPENT))
