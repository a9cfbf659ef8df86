"""Make prices.csv: a synthetic daily price, the same to the last digit every time.

The logarithm of the price takes a random step each business day (a geometric random walk with a small upward drift).
On top of it lie two patterns that come back: one over the week, one over the year. The walk cannot be foreseen by anybody;
the patterns can.
"""

import csv
import math
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

FIRST_DAY = date(2016, 1, 4)  # a Monday
DAYS = 2600
START_USD = 100.0
DAILY_DRIFT = 0.0002
DAILY_VOLATILITY = 0.006
WEEK = (0.000, 0.009, 0.004, -0.006, -0.007)  # Monday to Friday, in log price
YEAR_SWING = 0.08
SEED = 20160104


def main() -> None:
    """Write prices.csv beside this file."""
    with Path(__file__).with_name("prices.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["date", "price"])
        rows.writerows((day.isoformat(), f"{price:.2f}") for day, price in prices())


def prices() -> Iterator[tuple[date, float]]:
    """Yield each business day and its price in USD."""
    chance = random.Random(SEED)
    walk = math.log(START_USD)
    for day in business_days():
        walk += chance.gauss(DAILY_DRIFT, DAILY_VOLATILITY)
        season = YEAR_SWING * math.sin(2 * math.pi * day.timetuple().tm_yday / 365.25)
        yield day, math.exp(walk + season + WEEK[day.weekday()])


def business_days() -> Iterator[date]:
    """Yield Mondays to Fridays from the first day on."""
    day, found = FIRST_DAY, 0
    while found < DAYS:
        if day.weekday() < len(WEEK):
            yield day
            found += 1
        day += timedelta(days=1)


if __name__ == "__main__":
    main()
