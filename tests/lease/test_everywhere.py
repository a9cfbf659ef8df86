"""The part of the lease on real hosts that needs no namespaces, and so no root rights: it is tried wherever tests run."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.spec import OnFinish

from .conftest import ARMED_EARLY, HOUR, POLL, ROOT, TO_END_S, Fleet, all_are, fleet_of

# Processes there are this computer's: of those that watch, only the machine's own are ended.
STOP_WATCHING = (
    "watching=$(grep -lz '^CLOUDTRAIN_WATCH=' /proc/[0-9]*/environ); "
    f'kill -9 $(grep -lzxF "CLOUDTRAIN_GUEST_ROOT={ROOT}" $watching | cut -d/ -f3); '
)


@pytest.fixture
def simple_fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of("loopback", tmp_path) as made:
        yield made


def test_where_there_are_no_namespaces_it_ends_by_its_deadline_too(simple_fleet: Fleet) -> None:
    fleet = simple_fleet
    rebooted, robbed, watched = hosts = fleet.launch_all(["rebooted", "robbed, rebooted", "watched"], at_deadline=OnFinish.STOP)
    fleet.delete_files(robbed)
    for host in (rebooted, robbed):
        fleet.reboot(host)
    assert fleet.states(hosts) == all_are("running", hosts)
    fleet.pass_time_on(watched, HOUR.total_seconds())
    fleet.wait_for_end([watched])
    fleet.to(min(host.deadline for host in hosts) - ARMED_EARLY)
    assert fleet.states([rebooted, robbed]) == all_are("running", [rebooted, robbed])
    fleet.to(max(host.deadline for host in hosts) + POLL)
    fleet.see_end([rebooted, robbed])
    assert fleet.states(hosts) == all_are("stopped", hosts)


def test_where_root_has_ended_all_that_would_end_it_the_cloud_does(simple_fleet: Fleet) -> None:
    simple_fleet.provider.prepare_account()
    host = simple_fleet.launch("sabotaged")
    # Who watches there would arm it again within seconds: root had to end that, too.
    simple_fleet.run_in(host, STOP_WATCHING + "shutdown -c")
    simple_fleet.to(host.deadline - ARMED_EARLY)
    assert simple_fleet.state(host) == "running"
    simple_fleet.to(host.deadline + timedelta(minutes=2))
    simple_fleet.cloud.advance(TO_END_S)
    assert simple_fleet.state(host) == "terminated"
