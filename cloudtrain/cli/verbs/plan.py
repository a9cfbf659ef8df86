"""plan: what train would do, without spending anything."""

from pathlib import Path

import typer

from ..job_flags import JobFlags
from ..options import (
    AllowUnsupportedGpu,
    Config,
    Dollars,
    EnvironmentOption,
    FrameworkOption,
    Gpus,
    IdleTimeout,
    JobFolder,
    Json,
    Lifetime,
    MarketOption,
    OnFinishOption,
    Sample,
)
from ..planning import show_planned
from ..verb import command_of

TAKES_COMMAND = True
EXAMPLES = """
cloudtrain plan aws-g5 --budget 5
cloudtrain plan aws-g5 --market spot --gpus 4
"""


def plan(
    context: typer.Context,
    name: Config = None,
    folder: JobFolder = Path(),
    budget: Dollars = None,
    max_lifetime: Lifetime = None,
    idle_timeout: IdleTimeout = None,
    on_finish: OnFinishOption = None,
    framework: FrameworkOption = None,
    gpus: Gpus = None,
    market: MarketOption = None,
    env: EnvironmentOption = None,
    sample: Sample = None,
    allow_unsupported_gpu: AllowUnsupportedGpu = False,
    as_json: Json = False,
) -> None:
    """Show what train would rent, until when and for how much.

    The machines that fit, in the order they would be tried, each with the date of its price, its deadline and the most it can
    cost; and how much would be uploaded. Nothing is spent. The same as train --dry-run.
    """
    flags = JobFlags(budget, max_lifetime, idle_timeout, on_finish, framework, gpus, market, tuple(env or ()), sample)
    job, machine = flags.load(name, folder, command_of(context))
    show_planned(job, machine, allow_unsupported_gpu=allow_unsupported_gpu, as_json=as_json)
