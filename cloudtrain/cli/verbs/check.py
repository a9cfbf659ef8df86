"""check: a doctor for this computer and the providers."""

from typing import Annotated

import typer

from ...model.errors import ExitCode
from ...providers.registry import provider_names
from .. import completion
from ..doctor import check_computer, in_short
from ..market import check_providers
from ..options import Json
from ..render import answer, document
from ..show import show_findings

EXAMPLES = """
cloudtrain check
cloudtrain check aws gcp
"""

Providers = Annotated[
    list[str] | None,
    typer.Argument(metavar="PROVIDER", help="Look at these closely.", show_default=False, autocompletion=completion.providers),
]


def check(providers: Providers = None, as_json: Json = False) -> None:
    """See whether this computer and the providers are ready.

    Looks at tools, credentials, permissions and quota; spends nothing. With providers named, the exit code is 0 when all is
    well with them and 3 otherwise.
    """
    computer = [] if providers else check_computer()
    clouds = check_providers(providers or provider_names())
    if as_json:
        document({"computer": computer, "providers": clouds})
    elif providers:
        for name, findings in clouds.items():
            answer(name)
            show_findings(findings)
    else:
        show_findings([*computer, *(in_short(name, findings) for name, findings in clouds.items())])
    if providers and not all(finding.ok for findings in clouds.values() for finding in findings):
        raise typer.Exit(int(ExitCode.NOTHING_SPENT))
