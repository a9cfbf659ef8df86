"""Arguments and options that several verbs share, so that they read and complete the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from ..model.errors import ConfigError
from ..model.spec import Framework, Market, OnFinish
from . import completion

Config = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Machine config; the last one used when left out.",
        show_default=False,
        autocompletion=completion.machine_configs,
    ),
]
Machine = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Machine; the last one used when left out.",
        show_default=False,
        autocompletion=completion.known_machines,
    ),
]
RunId = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Run, or an unmistakable part of its id; the last one when left out.",
        show_default=False,
        autocompletion=completion.run_ids,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="One JSON event per line, the result last.")]
Yes = Annotated[bool, typer.Option("--yes", help="Answer every question with the safe default.")]
Dollars = Annotated[float | None, typer.Option("--budget", metavar="USD", help="Hard cap in US dollars.", show_default=False)]
Lifetime = Annotated[
    str | None,
    typer.Option(
        "--max-lifetime", metavar="TIME", help="The longest the machine may live: 4h, 90m, 1h30m.", show_default=False
    ),
]
JobFolder = Annotated[Path, typer.Option("--folder", metavar="PATH", help="The job's folder.", file_okay=False)]
OnFinishOption = Annotated[
    OnFinish | None, typer.Option("--on-finish", help="What becomes of the machine afterwards.", show_default=False)
]
FrameworkOption = Annotated[
    Framework | None, typer.Option("--framework", help="What the job computes with.", show_default=False)
]
MarketOption = Annotated[Market | None, typer.Option("--market", help="How the machine is bought.", show_default=False)]
Gpus = Annotated[int | None, typer.Option("--gpus", metavar="N", min=0, help="The least number of GPUs.", show_default=False)]
IdleTimeout = Annotated[
    str | None,
    typer.Option(
        "--idle-timeout",
        metavar="TIME",
        help="End a rented machine that does nothing for so long; nothing acts on it yet.",
        show_default=False,
    ),
]
EnvironmentOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME=VALUE", help="Environment variable for the job; may be repeated.", show_default=False),
]
Sample = Annotated[
    float | None,
    typer.Option(
        "--sample", metavar="FRACTION", help="Train on this part of the data: above 0, at most 1.", show_default=False
    ),
]
AllowUnsupportedGpu = Annotated[
    bool, typer.Option("--allow-unsupported-gpu", help="Rent a GPU the framework is known not to compute on.")
]
Attended = Annotated[
    bool,
    typer.Option(
        "--attended", help="Rent also what the cloud never ends by itself: it bills until you, at this computer, end it."
    ),
]
CreateNetwork = Annotated[bool, typer.Option("--create-network", help="Make a network where the account has no default one.")]
RunFilter = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="List this run only.", show_default=False, autocompletion=completion.run_ids),
]


def refuse_no_money(budget: float | None, instead: str) -> None:
    """Refuse an amount that is nothing, less, or no number. `instead` is a line to type.

    Raises:
        ConfigError: it is one of these.
    """
    if budget is not None and not 0 < budget < float("inf"):
        raise ConfigError(f"--budget {budget:g}: expected an amount in US dollars above 0", instead)
