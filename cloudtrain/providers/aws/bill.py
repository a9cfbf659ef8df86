"""What AWS itself billed: Cost Explorer's days, of what carries our tag.

AWS asks 0.01 USD for each question (price list of Cost Explorer's API, as its own pages had it in 2026), and knows our tag only
once an administrator has activated it as a cost allocation tag. Its figures are a day late.
"""

from collections.abc import Sequence
from datetime import date

from ...model.money import BilledDay
from . import tags
from .account import Account
from .translate import calling

METRIC = "UnblendedCost"


def billed(since: date, until: date, account: Account) -> Sequence[BilledDay]:
    """Return what was billed on the days from `since` on and before `until`, in USD.

    Raises:
        PermissionDeniedError: the account may not look at its bill.
        ProviderError: Cost Explorer is not switched on, or does not answer.
    """
    client = account.clients.cost_explorer()
    days: list[BilledDay] = []
    page: dict[str, str] = {}
    while True:
        with calling():
            reply = client.get_cost_and_usage(
                TimePeriod={"Start": since.isoformat(), "End": until.isoformat()},
                Granularity="DAILY",
                Metrics=[METRIC],
                Filter={"Tags": {"Key": tags.OURS, "Values": ["1"]}},
                **page,
            )
        days += [
            BilledDay(
                date.fromisoformat(day["TimePeriod"]["Start"]),
                float(day["Total"].get(METRIC, {}).get("Amount", "0")),
                not day.get("Estimated", False),
            )
            for day in reply["ResultsByTime"]
        ]
        if not reply.get("NextPageToken"):
            return days
        page = {"NextPageToken": reply["NextPageToken"]}
