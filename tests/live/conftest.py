"""Tests that rent from real clouds. They cost money, and are skipped unless CLOUDTRAIN_LIVE names the cloud."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanted = os.environ.get("CLOUDTRAIN_LIVE", "").split(",")
    for item in items:
        if HERE in item.path.parents:
            cloud = item.path.stem.removeprefix("test_")
            item.add_marker(pytest.mark.live)
            if cloud not in wanted:
                item.add_marker(pytest.mark.skip(reason=f"rents from {cloud} for real: CLOUDTRAIN_LIVE={cloud}"))
