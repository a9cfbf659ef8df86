"""cost: what was spent, on what, and what is left of the month."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from ... import overview, spending
from ...billed import compare
from ...config.settings import load_settings
from ...journey import Tools
from ...model.errors import ConfigError
from ...model.plain import to_plain
from ...model.statement import Billed, Statement
from ...wiring import open_tools
from .. import completion
from ..costs import show_billed, show_statement
from ..options import Json
from ..render import answer, document, note

EXAMPLES = """
cloudtrain cost
cloudtrain cost --month 2026-11 --json
cloudtrain cost --run 7f3a
cloudtrain cost --machine aws-g5
cloudtrain cost --actual
"""

Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="This run alone, from its beginning to now.",
        show_default=False,
        autocompletion=completion.run_ids,
    ),
]
Machine = Annotated[
    str | None,
    typer.Option(
        "--machine",
        metavar="NAME",
        help="Machines of this name alone.",
        show_default=False,
        autocompletion=completion.known_machines,
    ),
]
Month = Annotated[
    str | None,
    typer.Option("--month", metavar="YYYY-MM", help="Another month than this one (UTC).", show_default=False),
]
Actual = Annotated[bool, typer.Option("--actual", help="Compare with the clouds' own bills, where they can be read.")]


def cost(run: Run = None, machine: Machine = None, month: Month = None, actual: Actual = False, as_json: Json = False) -> None:
    """Show what runs and machines cost, and what is left of the month.

    Compute, disk and address apart, with the day the price was true; what goes on is counted up to now. These are this
    computer's books, not the cloud's bill: --actual asks for that.
    """
    _refuse_what_excludes(run, machine, month, actual)
    with open_tools() as tools:
        title, statement = _statement(tools, run, machine, month)
        billed = compare(statement, overview.accounts(tools), tools.open_provider, tools.clock.now()) if actual else ()
    if as_json:
        document(to_plain(statement) | ({"actual": billed} if actual else {}))
    else:
        _show(statement, title, billed, actual)


def _refuse_what_excludes(run: str | None, machine: str | None, month: str | None, actual: bool) -> None:
    if run is not None and (machine is not None or month is not None):
        raise ConfigError("A run is shown whole", "Leave --machine and --month out.", field="--run")
    if actual and (run is not None or machine is not None):
        hint = "Compare a month: cloudtrain cost --actual"
        raise ConfigError("The clouds bill days, not runs or machines", hint, field="--actual")


def _statement(tools: Tools, run: str | None, machine: str | None, month: str | None) -> tuple[str, Statement]:
    ledger, now = tools.ledger, tools.clock.now()
    if run is not None:
        whole = ledger.run(run)
        return whole.id, spending.statement_of_run(ledger, whole.id, now)
    asked = now if month is None else _month(month)
    cap = load_settings().monthly_budget
    statement = spending.statement_of_month(ledger, asked, now, machine=machine, cap_usd=cap)
    if machine is not None and not statement.lines:
        ledger.machine(machine)  # A name that nobody knows is a mistake, not a machine that cost nothing.
    return (f"{machine}, " if machine is not None else "") + f"{asked:%B %Y}", statement


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        hint = "Write it like this: --month 2026-11"
        raise ConfigError(f"expected a month, found {text!r}", hint, field="--month") from error


def _show(statement: Statement, title: str, billed: tuple[Billed, ...], actual: bool) -> None:
    if statement.lines:
        show_statement(statement, title)
    else:
        answer(f"{title}: nothing that bills was written down.")
    if actual:
        show_billed(billed)
    if statement.allowance is None and load_settings().monthly_budget is None:
        note("Cap what a month may cost: cloudtrain settings --monthly-budget 50")
