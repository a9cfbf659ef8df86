"""prices: where they come from, how old they are, and newer ones."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudtrain.model.errors import ProviderUnavailableError
from cloudtrain.model.offer import Offer
from cloudtrain.providers.aws.provider import AwsProvider

from .conftest import Cli

TODAY = datetime.now(UTC).date()

Listed = Callable[[Callable[[str], Sequence[Offer]]], list[str]]


def offer(region: str, usd: float = 0.4567) -> Offer:
    return Offer(
        "aws", "g4dn.xlarge", region, usd_per_hour=usd, priced_on=TODAY, vcpus=4, memory_gib=16.0,
        gpu="T4", gpu_count=1, gpu_memory_gib=16.0, compute_capability="7.5", source="api",
    )  # fmt: skip


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Let AWS list what it is told to; return the regions that were asked for."""

    def install(ask: Callable[[str], Sequence[Offer]]) -> list[str]:
        asked: list[str] = []

        def price_list(self: AwsProvider, region: str) -> Sequence[Offer]:
            asked.append(region)
            return ask(region)

        monkeypatch.setattr(AwsProvider, "price_list", price_list)
        return asked

    return install


@pytest.fixture
def nobody_logged_in(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))


@pytest.mark.parametrize("words", [("prices",), ("prices", "show")])
def test_prices_say_where_they_come_from_and_how_old_they_are(words: tuple[str, ...], cli: Cli) -> None:
    said = cli(*words)
    assert said.code == 0
    (aws,) = (line for line in said.out.splitlines() if line.startswith("aws "))
    assert aws.split() == ["aws", "came", "with", "cloudtrain", "80", "1", "2026-02-09", "to", "2026-07-20"]
    assert said.err == "Read those of today: cloudtrain prices refresh\n"


def test_prices_in_json(cli: Cli) -> None:
    answer = cli("prices", "--json").json
    assert answer["damaged"] is None
    assert set(answer["prices"][0]) == {"provider", "origin", "types", "regions", "oldest", "newest"}
    assert {source["provider"] for source in answer["prices"]} == {"aws", "azure", "gcp"}


def test_refresh_reads_the_regions_of_the_shipped_configs(home: Path, cli: Cli, listed: Listed) -> None:
    asked = listed(lambda region: [offer(region)])
    said = cli("prices", "refresh")
    assert (said.code, said.out, asked) == (0, "", ["us-east-1"])
    copy = home / "cache" / "prices.csv"
    assert said.err.splitlines()[-1] == f"Written: {copy}"
    assert said.err.startswith("prices     aws us-east-1 … aws us-east-1: 1 types")
    assert copy.stat().st_mode & 0o777 == 0o600


def test_refreshed_prices_are_those_that_are_shown(cli: Cli, listed: Listed, home: Path) -> None:
    listed(lambda region: [offer(region)])
    cli("prices", "refresh")
    words = ("offers", "--provider", "aws", "--gpu", "T4", "--market", "on-demand", "--limit", "1", "--json")
    (cheapest,) = cli(*words).json["offers"]
    assert (cheapest["usd_per_hour"], cheapest["priced_on"]) == (0.4567, TODAY.isoformat())
    (row,) = (line for line in cli("configs").out.splitlines() if line.startswith("aws-g4dn"))
    assert "$0.457" in row
    assert TODAY.isoformat() in row
    sources = [source for source in cli("prices", "--json").json["prices"] if source["provider"] == "aws"]
    assert [source["origin"] for source in sources] == ["cloudtrain", str(home / "cache" / "prices.csv")]
    assert sources[1]["newest"] == TODAY.isoformat()


def test_a_list_of_configs_asks_no_cloud(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def offers(self: AwsProvider, need: object) -> Sequence[Offer]:
        raise AssertionError("a cloud was asked")

    monkeypatch.setattr(AwsProvider, "offers", offers)
    assert "aws-g4dn" in cli("configs").out


def test_refresh_of_named_regions_once_each_in_json(home: Path, cli: Cli, listed: Listed) -> None:
    asked = listed(lambda region: [offer(region)])
    regions = ("--region", "eu-west-1", "--region", "us-west-2", "--region", "eu-west-1")
    said = cli("prices", "refresh", "--provider", "aws", *regions, "--json")
    assert asked == ["eu-west-1", "us-west-2"]
    path = str(home / "cache" / "prices.csv")
    assert said.json == {"path": path, "types": {"eu-west-1": 1, "us-west-2": 1}, "failed": []}


def test_a_region_that_fails_is_named_and_the_exit_code_says_so(cli: Cli, listed: Listed) -> None:
    def ask(region: str) -> Sequence[Offer]:
        if region == "eu-west-1":
            raise ProviderUnavailableError("AWS did not answer", "Try again.")
        return [offer(region)]

    listed(ask)
    said = cli("prices", "refresh", "--region", "us-east-1", "--region", "eu-west-1")
    assert said.code == 3
    assert "warning: eu-west-1 stays as it was: AWS did not answer" in said.err


@pytest.mark.parametrize("provider", ["hosts", "memory"])
def test_where_nobody_publishes_prices_there_are_none_to_refresh(provider: str, cli: Cli) -> None:
    said = cli("prices", "refresh", "--provider", provider)
    assert (said.code, said.out) == (2, "")
    assert f"{provider} publishes no prices; there are those of aws, azure, gcp" in said.err
    assert "cloudtrain prices refresh --provider aws" in said.err


def test_a_flag_without_refresh_is_bad_input(cli: Cli) -> None:
    said = cli("prices", "--region", "us-east-1")
    assert said.code == 2
    assert "cloudtrain prices refresh --region" in said.err


@pytest.mark.usefixtures("nobody_logged_in")
def test_refresh_without_credentials_says_what_to_type(home: Path, cli: Cli) -> None:
    said = cli("prices", "refresh")
    assert (said.code, said.out) == (3, "")
    assert "no credentials for AWS" in said.err
    assert "cloudtrain check aws" in said.err
    assert not (home / "cache" / "prices.csv").exists()


def test_ctrl_c_leaves_the_old_copy(home: Path, cli: Cli, listed: Listed) -> None:
    listed(lambda region: [offer(region)])
    cli("prices", "refresh")
    before = (home / "cache" / "prices.csv").read_bytes()

    def interrupted(region: str) -> Sequence[Offer]:
        raise KeyboardInterrupt

    listed(interrupted)
    assert cli("prices", "refresh").code == 130
    assert (home / "cache" / "prices.csv").read_bytes() == before
    assert len(list((home / "cache").iterdir())) == 1


def test_a_copy_that_cannot_be_written_is_an_error_in_words(home: Path, cli: Cli, listed: Listed) -> None:
    listed(lambda region: [offer(region)])
    home.mkdir()
    (home / "cache").write_text("in the way")
    said = cli("prices", "refresh")
    assert said.code == 2
    assert "the prices cannot be written" in said.err


@pytest.mark.usefixtures("nobody_logged_in")
def test_a_damaged_copy_is_named_wherever_prices_are_shown_and_stops_nothing(home: Path, cli: Cli) -> None:
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "prices.csv").write_text("nonsense")
    for words in (("prices",), ("offers", "--provider", "aws")):
        said = cli(*words)
        assert said.code == 0
        assert "your copy of the prices is damaged and not used" in said.err
        assert "aws" in said.out
    checked = cli("check")
    assert "✗ not ok  prices" in checked.out
    assert "cloudtrain prices refresh" in checked.out
    assert "damaged" in cli("prices", "--json").json["damaged"]["message"]
    # A plan is made from the table all the same.
    assert cli("plan", "aws-g4dn", "--budget", "1", "--", "true").code == 0
