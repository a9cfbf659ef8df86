"""Refreshing the copy: region by region, written at the end or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cloudtrain.model.errors import CredentialsError, ProviderError, ProviderUnavailableError
from cloudtrain.model.event import Event, StageEnded, StageStarted
from cloudtrain.model.offer import Offer
from cloudtrain.prices.refresh import refresh
from cloudtrain.prices.users_copy import copied_rows, write_copy

OLD, TODAY = date(2026, 9, 1), date(2026, 11, 21)


def offer(region: str, usd: float | None = 1.0, name: str = "g5.xlarge", provider: str = "aws") -> Offer:
    return Offer(provider, name, region, usd_per_hour=usd, priced_on=TODAY, source="api")


def old(region: str, provider: str = "aws") -> Offer:
    return replace(offer(region, 9.0, "g4dn.xlarge", provider), priced_on=OLD)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


@pytest.fixture
def kept(path: Path) -> Callable[[], set[tuple[str, str, str]]]:
    def look() -> set[tuple[str, str, str]]:
        return {(o.provider, o.region, o.instance_type) for o in copied_rows(path)}

    return look


def silent(event: Event) -> None:
    """Tell nobody."""


def test_each_region_is_asked_for_and_written(path: Path, kept: Callable[[], set]) -> None:
    done = refresh("aws", ("us-east-1", "eu-west-1"), lambda region: [offer(region)], path, silent)
    assert kept() == {("aws", "us-east-1", "g5.xlarge"), ("aws", "eu-west-1", "g5.xlarge")}
    assert (done.types, done.failed, done.path) == ({"us-east-1": 1, "eu-west-1": 1}, (), path)


def test_a_region_is_replaced_as_a_whole_and_the_others_stay(path: Path, kept: Callable[[], set]) -> None:
    write_copy(path, [old("us-east-1"), old("eu-west-1"), old("us-east-1", "gcp")])
    refresh("aws", ("us-east-1",), lambda region: [offer(region)], path, silent)
    assert kept() == {
        ("aws", "us-east-1", "g5.xlarge"),
        ("aws", "eu-west-1", "g4dn.xlarge"),
        ("gcp", "us-east-1", "g4dn.xlarge"),
    }


def test_a_region_that_fails_is_named_and_stays_as_it_was(path: Path, kept: Callable[[], set]) -> None:
    write_copy(path, [old("eu-west-1")])

    def ask(region: str) -> Sequence[Offer]:
        if region == "eu-west-1":
            raise ProviderUnavailableError("AWS did not answer", "Try again.")
        return [offer(region)]

    done = refresh("aws", ("eu-west-1", "us-east-1"), ask, path, silent)
    assert [(finding.ok, finding.subject, finding.message) for finding in done.failed] == [
        (False, "eu-west-1", "AWS did not answer")
    ]
    assert kept() == {("aws", "us-east-1", "g5.xlarge"), ("aws", "eu-west-1", "g4dn.xlarge")}


@pytest.mark.parametrize("found", [[], [offer("us-east-1", None)]])
def test_a_region_without_a_price_is_not_a_success(found: list[Offer], path: Path) -> None:
    with pytest.raises(ProviderError, match="No price was found in us-east-1"):
        refresh("aws", ("us-east-1",), lambda region: found, path, silent)
    assert not path.exists()


@pytest.mark.parametrize("error", [CredentialsError("expired"), KeyboardInterrupt()])
def test_a_refresh_that_is_broken_off_changes_nothing(error: BaseException, path: Path) -> None:
    write_copy(path, [old("us-east-1")])
    before = path.read_bytes()

    def ask(region: str) -> Sequence[Offer]:
        if region == "eu-west-1":
            raise error
        return [offer(region)]

    with pytest.raises(type(error)):
        refresh("aws", ("us-east-1", "eu-west-1"), ask, path, silent)
    assert path.read_bytes() == before


def test_a_damaged_copy_is_replaced(path: Path, kept: Callable[[], set]) -> None:
    path.write_text("nonsense")
    refresh("aws", ("us-east-1",), lambda region: [offer(region)], path, silent)
    assert kept() == {("aws", "us-east-1", "g5.xlarge")}


def test_each_region_is_a_stage(path: Path) -> None:
    told: list[Event] = []
    refresh("aws", ("us-east-1",), lambda region: [offer(region)], path, told.append)
    started, ended = told
    assert started == StageStarted("prices", "aws us-east-1")
    assert isinstance(ended, StageEnded)
    assert (ended.stage, ended.detail) == ("prices", "aws us-east-1: 1 types")
