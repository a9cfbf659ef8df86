"""What AWS billed, as Cost Explorer tells it."""

from datetime import date

import pytest

from cloudtrain.model.errors import PermissionDeniedError
from cloudtrain.model.money import BilledDay
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import Bills

from .conftest import Cloud

REPLY = {
    "ResultsByTime": [
        {
            "TimePeriod": {"Start": "2026-11-01", "End": "2026-11-02"},
            "Total": {"UnblendedCost": {"Amount": "3.0625", "Unit": "USD"}},
            "Estimated": False,
        },
        {"TimePeriod": {"Start": "2026-11-02", "End": "2026-11-03"}, "Total": {}, "Estimated": True},
    ]
}


def test_days_come_with_whether_they_are_final(cloud: Cloud, provider: AwsProvider) -> None:
    cloud.aws.set_costs(REPLY)
    assert isinstance(provider, Bills)
    assert list(provider.billed(date(2026, 11, 1), date(2026, 11, 3))) == [
        BilledDay(date(2026, 11, 1), 3.0625),
        BilledDay(date(2026, 11, 2), 0.0, is_final=False),
    ]


def test_only_what_carries_our_tag_is_asked_for(cloud: Cloud, provider: AwsProvider) -> None:
    cloud.aws.set_costs(REPLY)
    provider.billed(date(2026, 11, 1), date(2026, 11, 3))
    asked = next(record for record in cloud.aws.calls() if record.action == "GetCostAndUsage")
    assert asked.parameters["Filter"] == {"Tags": {"Key": "cloudtrain", "Values": ["1"]}}
    assert asked.parameters["TimePeriod"] == {"Start": "2026-11-01", "End": "2026-11-03"}


def test_an_account_that_may_not_look_says_so(cloud: Cloud, provider: AwsProvider) -> None:
    cloud.aws.faults.add("ce", "GetCostAndUsage", code="AccessDeniedException", message="not authorized", http=400)
    with pytest.raises(PermissionDeniedError):
        provider.billed(date(2026, 11, 1), date(2026, 11, 3))
