"""What holds for every test: a machine that is busy is no reason for a law to fail; and which tests take their time."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

HERE = Path(__file__).parent
THOROUGH = (
    "clouds/",
    "e2e/test_aws.py",
    "e2e/test_clouds.py",
    "e2e/test_iam_policy.py",
    "lease/test_everywhere.py",
    "lease/test_for_real.py",
    "playground/",
    "providers/azure/test_checkpoints_on_hosts.py",
    "providers/azure/test_permissions.py",
)
"""What `scripts/test` leaves to `scripts/test -m thorough`: matrices of every cloud, stories and leases on real hosts, and the
doubles themselves, which all that is built on them tests, too."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores: a sixth of the time, a test waits for a process or a line."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is thorough, by where it stands."""
    for item in items:
        if item.path.relative_to(HERE).as_posix().startswith(THOROUGH):
            item.add_marker(pytest.mark.thorough)
