"""settings: what holds for every job and machine."""

from typing import Annotated

import typer

from ...config.settings import load_settings, save_monthly_budget, settings_file
from ..options import Json
from ..render import document, note
from ..tables import pairs

EXAMPLES = """
cloudtrain settings
cloudtrain settings --monthly-budget 50
cloudtrain settings --monthly-budget none
"""

MonthlyBudget = Annotated[
    str | None,
    typer.Option(
        "--monthly-budget",
        metavar="USD",
        help="Cap what all machines may cost in a calendar month (UTC); `none` for no cap.",
        show_default=False,
    ),
]


def settings(monthly_budget: MonthlyBudget = None, as_json: Json = False) -> None:
    """Show or change what holds for every job and machine.

    The settings are a small YAML file of your own, described in docs/config.md. What is changed here is changed there; your
    comments stay.
    """
    if monthly_budget is not None:
        save_monthly_budget(None if monthly_budget.casefold() == "none" else monthly_budget)
    current, file = load_settings(), settings_file()
    if as_json:
        document({"file": file, "exists": file.exists(), "monthly_budget": current.monthly_budget})
        return
    cap = "none" if current.monthly_budget is None else f"${current.monthly_budget:,.2f}"
    pairs((("file", str(file) if file.exists() else f"{file} (not there yet)"), ("monthly budget", cap)))
    if current.monthly_budget is None and monthly_budget is None:
        note("Cap what a month may cost: cloudtrain settings --monthly-budget 50")
