"""Matrices of which `scripts/test` tries a share; `scripts/test -m thorough` tries the rest."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(every: int, cases: Iterable[Any]) -> list[Any]:
    """Return a matrix's cases for `parametrize`: the first and each `every`-th after it for the default suite."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.thorough] if number % every else [])
        for number, case in enumerate(cases)
    ]
