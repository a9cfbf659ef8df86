"""The person's own copy of the price table: the newer price counts, and a damaged copy stops nothing."""

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market
from cloudtrain.prices.table import COLUMNS, rows
from cloudtrain.prices.users_copy import copied_rows, damage, known_rows, write_copy

TODAY = date(2026, 11, 21)
T4 = Offer(
    "aws", "g4dn.xlarge", "us-east-1", usd_per_hour=0.5, priced_on=TODAY, vcpus=4, memory_gib=16.0,
    gpu="T4", gpu_count=1, gpu_memory_gib=16.0, compute_capability="7.5", source="api",
)  # fmt: skip
SPOT = replace(T4, market=Market.SPOT, usd_per_hour=0.2)
SLICE = replace(T4, instance_type="g6f.large", gpu="L4", gpu_count=0, gpu_memory_gib=3.0, compute_capability="8.9")
PLAIN = Offer("aws", "t3.large", "eu-west-1", usd_per_hour=0.09, priced_on=TODAY, vcpus=2, memory_gib=8.0, source="api")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "prices.csv"


def priced(path: Path, offer: Offer) -> Offer:
    place = (offer.instance_type, offer.region, offer.market)
    (found,) = (o for o in known_rows(offer.provider, path) if (o.instance_type, o.region, o.market) == place)
    return found


def test_the_header_is_the_tables_own() -> None:
    from importlib import resources

    text = resources.files("cloudtrain.prices").joinpath("table.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(COLUMNS)


def test_what_is_written_is_read_again(path: Path) -> None:
    write_copy(path, [T4, SPOT, SLICE, PLAIN])
    found = {(o.instance_type, o.market): o for o in copied_rows(path)}
    for offer in (T4, SPOT, SLICE, PLAIN):
        assert found[offer.instance_type, offer.market] == replace(offer, source="table")
    assert found["t3.large", Market.SPOT].usd_per_hour is None


def test_without_a_copy_the_table_is_the_wheels_own(path: Path) -> None:
    assert known_rows("aws", path) is rows("aws")
    assert damage(path) == ""


def test_the_newer_price_counts_for_each_type_region_and_market(path: Path) -> None:
    shipped = next(o for o in rows("aws") if o.instance_type == "g5.xlarge" and o.market is Market.ON_DEMAND)
    older = replace(shipped, usd_per_hour=99.0, priced_on=date(2026, 1, 1))
    write_copy(path, [T4, SPOT, older])
    assert (priced(path, T4).usd_per_hour, priced(path, T4).priced_on) == (0.5, TODAY)
    assert priced(path, SPOT).usd_per_hour == 0.2
    assert priced(path, shipped) == shipped
    assert len(known_rows("aws", path)) == len(rows("aws"))


def test_what_only_the_copy_has_is_known(path: Path) -> None:
    write_copy(path, [PLAIN])
    assert priced(path, PLAIN).usd_per_hour == 0.09
    assert known_rows("gcp", path) is rows("gcp")


def test_a_known_price_is_better_than_a_newer_unknown_one(path: Path) -> None:
    write_copy(path, [replace(T4, usd_per_hour=None)])
    assert priced(path, T4).usd_per_hour == 0.526
    assert priced(path, SPOT).usd_per_hour is None


def test_a_changed_copy_is_read_again(path: Path) -> None:
    write_copy(path, [T4])
    assert priced(path, T4).usd_per_hour == 0.5
    write_copy(path, [replace(T4, usd_per_hour=0.4)])
    os.utime(path, ns=(1, 1))
    assert priced(path, T4).usd_per_hour == 0.4


GOOD = "aws,us-east-1,g4dn.xlarge,4,16,T4,1,16,7.5,0.5,,2026-11-21,api"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"provider,region\naws,us-east-1\n",
        b"HEADER\n" + GOOD.replace("0.5", "cheap").encode(),
        b"HEADER\n" + GOOD.replace("0.5", "0.0").encode(),
        b"HEADER\n" + GOOD.replace("0.5", "-1").encode(),
        b"HEADER\n" + GOOD.replace("0.5", "nan").encode(),
        b"HEADER\n" + GOOD.replace("2026-11-21", "yesterday").encode(),
        b"HEADER\n" + GOOD[:20].encode(),
        b'HEADER\n"' + GOOD.encode(),
    ],
)
def test_a_damaged_copy_is_named_and_passed_over(content: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(content.replace(b"HEADER", ",".join(COLUMNS).encode()))
    assert damage(path)
    assert copied_rows(path) == ()
    assert known_rows("aws", path) is rows("aws")


def test_a_copy_that_is_no_file_is_damaged(path: Path) -> None:
    path.mkdir(parents=True)
    assert "IsADirectoryError" in damage(path)
    assert known_rows("aws", path) is rows("aws")


def test_the_copy_is_for_nobody_else_to_read(path: Path) -> None:
    before = os.umask(0)
    try:
        write_copy(path, [T4])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_copy_that_cannot_be_finished_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_copy(path, [T4])
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_copy(path, [SPOT])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
