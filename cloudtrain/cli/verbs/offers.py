"""offers: prices side by side."""

from typing import Annotated, Literal

import typer

from ...model.spec import Resources
from .. import completion
from ..market import find_offers
from ..options import Json, MarketOption
from ..render import answer, document, note, warning
from ..show import show_offers

EXAMPLES = """
cloudtrain offers --gpu A100 --max-price 5
cloudtrain offers --gpu-memory 24 --market spot --sort price-per-gpu
cloudtrain offers --provider aws --gpus 8 --json
"""

Gpu = Annotated[str | None, typer.Option(metavar="MODEL", help="GPU model: T4, A10G, A100.", show_default=False)]
Gpus = Annotated[int, typer.Option(metavar="N", min=0, help="The least number of GPUs.", show_default=False)]
Memory = Annotated[float, typer.Option(metavar="GIB", min=0, help="The least main memory.", show_default=False)]
GpuMemory = Annotated[float, typer.Option(metavar="GIB", min=0, help="The least memory of each GPU.", show_default=False)]
Providers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Ask this provider only; may be repeated.", show_default=False, autocompletion=completion.providers
    ),
]
MaxPrice = Annotated[float | None, typer.Option(metavar="USD", help="The most an hour may cost.", show_default=False)]
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="How many to show.")]
Sort = Annotated[Literal["price", "price-per-gpu", "gpu-memory", "memory"], typer.Option(help="What comes first.")]


def offers(
    gpu: Gpu = None,
    gpus: Gpus = 0,
    memory: Memory = 0.0,
    gpu_memory: GpuMemory = 0.0,
    provider: Providers = None,
    market: MarketOption = None,
    max_price: MaxPrice = None,
    limit: Limit = 20,
    sort: Sort = "price",
    as_json: Json = False,
) -> None:
    """Compare what the providers have, cheapest first.

    Each price carries the day it was true. A price that is not known is shown as unknown, never as free. Made-up offers of
    the pretend cloud are shown with --provider memory only.
    """
    need = Resources(gpu=gpu, gpus=gpus, gpu_memory_gb=gpu_memory, memory_gb=memory)
    found = find_offers(tuple(provider or ()), need, market=market, max_price=max_price, sort=sort)
    for finding in found.silent:
        warning(f"{finding.subject}: {finding.message}")
    if as_json:
        document({"offers": found.offers[:limit], "silent": found.silent})
        return
    if not found.offers:
        answer("Nothing fits.")
    show_offers(found.offers[:limit])
    if len(found.offers) > limit:
        note(f"… and {len(found.offers) - limit} more: --limit {len(found.offers)}")
