"""The machine configs that can be named, and what each would cost."""

from dataclasses import dataclass

from ..config.machine import load_machine, machine_names
from ..model.errors import CloudtrainError
from ..model.offer import Offer
from ..model.spec import MachineSpec, Resources
from ..prices.table import cheapest
from ..providers.registry import open_provider
from ..wiring import known_prices, provider_settings


@dataclass(frozen=True, slots=True)
class Config:
    """One machine config.

    Attributes:
        offer: the cheapest offer it allows; when no price is known, any; None when there is none.
    """

    name: str
    machine: MachineSpec
    offer: Offer | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A machine config that cannot be used, and why."""

    name: str
    problem: str


def read_configs() -> tuple[list[Config], list[Broken]]:
    """Read every machine config; one that is broken does not hide the others."""
    configs: list[Config] = []
    broken: list[Broken] = []
    for name in machine_names():
        try:
            machine = load_machine(name)
            configs.append(Config(name, machine, _cheapest(machine)))
        except CloudtrainError as error:
            broken.append(Broken(name, str(error).partition("\n")[0]))
    return configs, broken


def _cheapest(machine: MachineSpec) -> Offer | None:
    if machine.hosts:
        # What they are made of they tell when one of them is wanted: a list of names waits for no machine.
        host = min(machine.hosts, key=lambda host: host.usd_per_hour)
        return Offer(machine.provider, host.name, machine.provider, usd_per_hour=host.usd_per_hour, source="config")
    # A list of names is no reason to ask a cloud, once for each of them: what the table knows will do.
    offers = known_prices(machine.provider) or open_provider(machine.provider, provider_settings(machine)).offers(Resources())
    allowed = [offer for offer in offers if offer.named_by(machine) and offer.satisfies(machine.resources)]
    return cheapest(allowed) or next(iter(allowed), None)
