"""Which machine types there are, zone by zone: one list for all zones, and one of the GPUs that N1 takes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .machine_types import ATTACHABLE, NAMES_WITH_GPU, MachineType, attached, parts, read_machine_type
from .rest import Rest

PAGE = "500"

_TYPE_FIELDS = "name,zone,guestCpus,memoryMb,isSharedCpu,architecture,deprecated/state,accelerators,bundledLocalSsds"
_CARD_FIELDS = "name,zone,maximumCardsPerInstance,deprecated/state"


def machine_types(rest: Rest, wanted: Sequence[str], plain: str = "") -> list[MachineType]:
    """Return the machine types of these names in every zone, those made of an N1 and GPUs among them.

    Where none is wanted by name, all that have a GPU are; and those without one whose names match `plain`, as Google's
    filter reads it.

    Raises:
        ProviderError: Compute Engine refused or did not answer, or did so for some zones only.
    """
    named = [parts(name) for name in wanted]
    names = "|".join(sorted({each.machine_type for each in named})) if wanted else _either(NAMES_WITH_GPU, plain)
    with_cards = not wanted or any(each.count for each in named)
    with ThreadPoolExecutor(2) as pool:
        cards_asked = pool.submit(_cards, rest) if with_cards else None
        read = (read_machine_type(info) for info in _listed(rest, "compute.machineTypes.aggregatedList", names, _TYPE_FIELDS))
        found = [machine for machine in read if machine is not None]
        cards = cards_asked.result() if cards_asked is not None else []
    every = [*found, *attached(found, cards)]
    return [machine for machine in every if (machine.name in wanted if wanted else _is_meant(machine, plain))]


def _is_meant(machine: MachineType, plain: str) -> bool:
    """Say whether a type is wanted where none is named: an N1 is listed for the GPUs it takes."""
    return bool(machine.accelerator) or (bool(plain) and not machine.name.startswith("n1-"))


def _either(first: str, second: str) -> str:
    return f"{first}|{second}" if second else first


def _cards(rest: Rest) -> list[dict[str, object]]:
    return _listed(rest, "compute.acceleratorTypes.aggregatedList", "|".join(sorted(ATTACHABLE)), _CARD_FIELDS)


def _listed(rest: Rest, method_id: str, names: str, fields: str) -> list[dict[str, object]]:
    kind = method_id.split(".")[1]
    query = {
        # Google's regular expressions match the whole name.
        "filter": f'name eq "({names})"',
        "maxResults": PAGE,
        "fields": f"items/*/{kind}({fields}),items/*/warning/code,nextPageToken,unreachables,warning/code",
    }
    return list(rest.pages(method_id, f"projects/{rest.project}/aggregated/{kind}", query=query))
