"""A clock that is off is noticed by the dates of a cloud's replies."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from cloudtrain.model.errors import CredentialsError
from cloudtrain.providers.cloud_time import MOST_OFF_S, CloudTime

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def heard(*ahead_s: float) -> CloudTime:
    time = CloudTime("Acme", now=lambda: NOW)
    for seconds in ahead_s:
        time.heard(format_datetime(NOW - timedelta(seconds=seconds), usegmt=True))
    return time


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (61, "61 seconds ahead of Acme's: a machine would end that much too late"),
        (-61, "61 seconds behind Acme's: a machine would end that much too early"),
        (720, "12 minutes ahead of"),
        (5 * 3600, "5 hours ahead of"),
    ],
)
def test_a_clock_that_is_off_is_refused_with_the_way_and_the_line_to_type(ahead_s: float, said: str) -> None:
    with pytest.raises(CredentialsError) as refused:
        heard(ahead_s).must_agree()
    assert said in refused.value.message
    assert "timedatectl set-ntp true" in refused.value.hint


@pytest.mark.parametrize("ahead_s", [0, MOST_OFF_S, -MOST_OFF_S])
def test_a_clock_that_is_nearly_right_is_right(ahead_s: float) -> None:
    assert heard(ahead_s).findings() == ()


def test_the_last_reply_counts_and_one_without_a_date_changes_nothing() -> None:
    heard(5000, 0).must_agree()
    time = heard(5000)
    for unreadable in (None, "", "yesterday", "Sat, 21 Nov 2026 12:00:00"):
        time.heard(unreadable)
    with pytest.raises(CredentialsError):
        time.must_agree()


def test_who_has_heard_nothing_is_believed() -> None:
    assert CloudTime("Acme").findings() == ()


def test_a_check_names_a_clock_that_is_off_and_has_nothing_to_say_of_one_that_is_right() -> None:
    assert heard(0).findings() == ()
    (finding,) = heard(5000).findings()
    assert (finding.ok, finding.subject) == (False, "clock")
    assert "83 minutes ahead of Acme's" in finding.message
    assert finding.hint
