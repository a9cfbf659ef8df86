"""What a machine is made of, as an offer. What it says is believed in nothing but its shape."""

from collections.abc import Mapping
from datetime import date

from ...model.offer import Offer
from ...model.spec import HostSpec
from ..gpu_models import Gpu, model_name, most_alike, sold_size_gib

NAME = "hosts"
REGION = "hosts"
GIB = 1024**3

_MOST_GPUS = 64
_LONGEST = 60


def offer_of(host: HostSpec, facts: Mapping[str, object], today: date) -> Offer:
    """Return a machine as an offer: one machine, one type, at the price its owner wrote down."""
    alike = most_alike(_gpus(facts.get("gpus")))
    return Offer(
        provider=NAME,
        instance_type=host.name,
        region=REGION,
        zone=host.name,
        usd_per_hour=host.usd_per_hour,
        priced_on=today if host.usd_per_hour else None,
        vcpus=int(_number(facts.get("cpus"))),
        memory_gib=round(_number(facts.get("memory_bytes")) / GIB, 1),
        gpu=alike[0].model if alike else "",
        gpu_count=len(alike),
        gpu_memory_gib=alike[0].memory_gib if alike else 0.0,
        compute_capability=alike[0].compute_capability if alike else "",
        source="config" if host.usd_per_hour else "none",
    )


def described(offer: Offer) -> str:
    """Return what a machine has, in words for a person."""
    gpus = f"{offer.gpu_count} x {offer.gpu} ({offer.gpu_memory_gib:g} GiB), " if offer.gpu_count else "no NVIDIA GPU, "
    return f"{gpus}{offer.vcpus} CPUs, {offer.memory_gib:g} GiB of memory"


def _gpus(content: object) -> tuple[Gpu, ...]:
    listed = content[:_MOST_GPUS] if isinstance(content, list) else []
    return tuple(_gpu(item) for item in listed if isinstance(item, dict))


def _gpu(item: Mapping[str, object]) -> Gpu:
    capability = _text(item.get("compute_capability"))
    is_number = capability.replace(".", "", 1).isdecimal()
    memory_gib = sold_size_gib(_number(item.get("memory_mib")) / 1024)
    return Gpu(model_name(_text(item.get("name"))), memory_gib, capability if is_number else "")


def _text(value: object) -> str:
    return "".join(letter for letter in value[:_LONGEST] if letter.isprintable()) if isinstance(value, str) else ""


def _number(value: object) -> float:
    is_size = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**60
    return float(value) if is_size and isinstance(value, int | float) else 0.0
