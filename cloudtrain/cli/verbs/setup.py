"""setup: what an account needs, once, so that deadlines are kept twice."""

from typing import Annotated

import typer

from ...model.errors import ConfigError
from ...model.spec import MachineSpec
from ...providers.base import Preparable
from ...providers.registry import open_provider
from ...wiring import provider_settings
from .. import completion
from ..ask import must_agree
from ..options import Json
from ..render import answer, document

EXAMPLES = """
cloudtrain setup aws --dry-run
cloudtrain setup aws
"""

ProviderName = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="Whose account.", show_default=False, autocompletion=completion.providers)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be made, and make nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def setup(provider: ProviderName, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Have the deadlines of your machines kept twice.

    On AWS each machine keeps its own deadline, and this adds the cloud's; on Azure the cloud keeps it, and this adds the
    machine's own. Once for each account; other clouds need it not. Shows first what it would make, and asks.
    """
    found = open_provider(provider, provider_settings(MachineSpec(provider, provider)))
    if not isinstance(found, Preparable):
        raise ConfigError(f"{provider} needs no preparation, or none that this version knows", f"cloudtrain check {provider}")
    made = ""
    if not as_json:
        answer(found.preparation())
    if not dry_run:
        if not yes:
            must_agree("Make it?", f"cloudtrain setup {provider} --yes")
        made = found.prepare_account()
    if as_json:
        document({"provider": provider, "preparation": found.preparation(), "made": made})
    elif made:
        answer(f"Done: {made}. {found.kept_with()}")
