"""Make cloudtrain/prices/table.csv from a compiled catalogue of GPU prices.

    python scripts/make_price_table.py CATALOGUE.csv

The catalogue has one row per cloud, region and instance type; where its figures come from is written in
cloudtrain/prices/SOURCES.md, which is to be changed in the same commit as the table.
"""

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "cloudtrain" / "prices" / "table.csv"

COLUMNS = {
    "cloud": "provider",
    "region": "region",
    "instance_type": "instance_type",
    "vcpus": "vcpus",
    "memory_gib": "memory_gib",
    "gpu": "gpu",
    "gpu_count": "gpu_count",
    "gpu_mem_gib_each": "gpu_memory_gib",
    "compute_cap": "compute_capability",
    "on_demand_usd_h": "on_demand_usd_per_hour",
    "spot_usd_h": "spot_usd_per_hour",
    "as_of": "priced_on",
    "source": "source",
}
"""The catalogue's name of each column, and ours."""

PER_CHIP = "(per chip)"


def main() -> int:
    """Write the table and say what was left out."""
    if len(sys.argv) != 2:
        sys.stderr.write(__doc__ or "")
        return 2
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as catalogue:
        read = list(csv.DictReader(catalogue))
    kept = sorted(convert(read), key=lambda row: (row["provider"], row["region"], row["instance_type"]))
    with TABLE.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, COLUMNS.values(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    sys.stdout.write(f"{TABLE.name}: {len(kept)} rows kept, {len(read) - len(kept)} left out\n")
    return 0


def convert(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield the rows a machine can be rented by, in our columns.

    Left out: chips sold inside other machines (a price per chip is no price of a machine), and rows that nobody has
    priced on either market (they say nothing that a price table is for).
    """
    for row in rows:
        if PER_CHIP in row["instance_type"] or not (_price(row["on_demand_usd_h"]) or _price(row["spot_usd_h"])):
            continue
        ours = {name: row[theirs].strip() for theirs, name in COLUMNS.items()}
        ours["on_demand_usd_per_hour"] = _price(row["on_demand_usd_h"])
        ours["spot_usd_per_hour"] = _price(row["spot_usd_h"])
        ours["priced_on"] = _oldest_date(row["as_of"])
        yield ours


def _price(text: str) -> str:
    """Return a price as short as it can be written, or "" when it is unknown. Zero is how catalogues say unknown."""
    value = float(text) if text.strip() else 0.0
    return f"{value:.6f}".rstrip("0").rstrip(".") if value > 0 else ""


def _oldest_date(text: str) -> str:
    """Return the oldest date of "2026-06-18;spot 2026-09-06": a row is as old as its oldest figure."""
    dates = re.findall(r"\d{4}-\d{2}-\d{2}", text)
    if not dates:
        raise ValueError(f"no date in {text!r}")
    return min(dates)


if __name__ == "__main__":
    raise SystemExit(main())
