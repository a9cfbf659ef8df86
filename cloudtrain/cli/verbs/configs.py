"""configs: the machines that can be named."""

from ..options import Json
from ..render import document, note, warning
from ..shelf import Config, read_configs
from ..show import day, hardware
from ..tables import table
from ..words import hourly

EXAMPLES = """
cloudtrain configs
cloudtrain configs --json
"""


def configs(as_json: Json = False) -> None:
    """List the machines you can name, and what they cost.

    Configs are read from ./configs, your own config folder and those that came with cloudtrain. The price is that of the
    cheapest offer each one allows, with the day it was true.
    """
    usable, broken = read_configs()
    if as_json:
        document({"configs": [_plain(config) for config in usable], "broken": broken})
        return
    table(
        ("NAME", "PROVIDER", "HARDWARE", "$/H", "PRICE OF", "DESCRIPTION"), [_row(config) for config in usable], right=("$/H",)
    )
    for config in broken:
        warning(f"{config.name} cannot be used: {config.problem}")
    note("Look closer: cloudtrain get NAME · train there: cloudtrain train NAME")


def _row(config: Config) -> tuple[str, ...]:
    offer, machine = config.offer, config.machine
    if offer is None:
        return (config.name, machine.provider, "-", "unknown", "-", machine.description)
    return (config.name, machine.provider, hardware(offer), hourly(offer.usd_per_hour), day(offer), machine.description)


def _plain(config: Config) -> dict[str, object]:
    return {
        "name": config.name,
        "provider": config.machine.provider,
        "description": config.machine.description,
        "origin": config.machine.origin,
        "offer": config.offer,
    }
