import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.plain import to_plain
from cloudtrain.model.spec import MachineSpec
from cloudtrain.prices.table import rows
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

WAITER = "import sys; print('up', flush=True); sys.stdin.read()"


LAUNCH_FROM_ELSEWHERE = """
import json, sys
from pathlib import Path
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.plain import from_plain
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.registry import open_provider
from cloudtrain.testing.clock import FakeClock
order = from_plain(LaunchOrder, json.loads(sys.argv[2]))
provider = open_provider(sys.argv[3], ProviderSettings(Path(sys.argv[1]), FakeClock(), lambda name: ()))
print("ready", flush=True)
sys.stdin.readline()
print(provider.launch(order).ref.id)
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path, clock: FakeClock) -> ProviderSettings:
    return ProviderSettings(tmp_path / "home", clock, rows)


@pytest.fixture
def make_order(clock: FakeClock) -> Callable[..., LaunchOrder]:
    def make(offer: Offer, token: str = "ct-token-1", hours: float = 2.0) -> LaunchOrder:
        lease = Lease(clock.now() + timedelta(hours=hours), offer.usd_per_hour or 0.0)
        return LaunchOrder(token, MachineSpec("mine", offer.provider), offer, lease, "alice-laptop")

    return make


@pytest.fixture
def job() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a real process in a session of its own, as the guest does, and write a run's state.json that names it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(root: Path, *, cwd: Path | None = None, key: str = "job_pid", env: dict | None = None) -> subprocess.Popen[bytes]:
        run = root / "runs" / f"run-{len(started)}"
        (run / "work").mkdir(parents=True)
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", WAITER],
            cwd=cwd or run / "work",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=env,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (run / "state.json").write_text(json.dumps({"phase": "running", key: process.pid}))
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def launch_twice() -> Callable[..., set[str]]:
    """Launch one order from two processes at once and return the ids they were given."""

    def launch(home: Path, order: LaunchOrder, provider: str) -> set[str]:
        argv = [sys.executable, "-c", LAUNCH_FROM_ELSEWHERE, str(home), json.dumps(to_plain(order)), provider]
        both = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [process.communicate()[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        return set(answers)

    return launch
