"""Lines that are cut, reset, stalled and slowed at random points of a transfer over real SSH: what arrives is what was sent.

A share is tried, and of that a share in the default suite; all 200 with CLOUDTRAIN_CUT_MATRIX=all.
"""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.remote.connection import connection_to
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.paramiko_connection import ParamikoConnection
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.testing.remote_files_contract import names, plant, snapshot
from cloudtrain.testing.ssh_server import SshServer
from tests.shares import one_in

from .conftest import Relay

FAULTS = ("cut", "reset", "stalled", "slowed")
COUNT = 200 if os.environ.get("CLOUDTRAIN_CUT_MATRIX") == "all" else 12
MIB = 1 << 20


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = plant(tmp_path_factory.mktemp("planted") / "tree")
    chance = random.Random(7)
    (root / "x").write_bytes(chance.randbytes(5 * MIB + 100))
    (root / "small").mkdir()
    for number in range(60):
        (root / "small" / str(number)).write_bytes(chance.randbytes(3000))
    return root


def sooner(*words: object) -> ParamikoConnection:
    return ParamikoConnection(*words, patience_s=1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", one_in(3, range(COUNT)))
def test_whatever_befalls_the_line_nothing_is_half_and_all_arrives_in_the_end(
    openssh: SshServer, control: Path, tree: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    fault = FAULTS[seed % len(FAULTS)]
    is_push = seed // len(FAULTS) % 2 == 0
    connect = sooner if seed // (2 * len(FAULTS)) % 2 else connection_to
    there = openssh.home / ".cloudtrain" / f"matrix-{seed}"
    wanted = snapshot(tree)
    with Relay(openssh.endpoint.port) as relay:
        patience = {"ServerAliveInterval": "1", "ServerAliveCountMax": "1"} if connect is connection_to else {}
        endpoint = replace(openssh.endpoint, port=relay.port, options=patience)
        relay.befall(fault, chance.choice([chance.randrange(20_000), chance.randrange(20_000, 5 * MIB)]))
        with SshRemote(endpoint, control_folder=control, connect_timeout_s=3, connect=connect) as remote:  # type: ignore[arg-type]
            if is_push:
                place = there
                carry: Callable[[], object] = lambda: remote.push(gather(tree, ["."]), PurePosixPath(there))  # noqa: E731
            else:
                place = tmp_path / "back"
                carry = lambda: remote.pull(PurePosixPath(tree), place)  # noqa: E731
            broken = 0
            while True:
                try:
                    carry()
                    break
                except HostUnreachableError:
                    broken += 1
                    assert broken < 20
                    if place.exists():
                        assert_nothing_is_half(place, wanted)
                    relay.flow()
                    if broken < 3 and chance.random() < 0.5:
                        relay.befall(chance.choice(FAULTS), chance.randrange(4 * MIB))
        assert relay.befallen[0] == fault
        assert broken or set(relay.befallen) == {"slowed"}
    assert snapshot(place) == wanted
    assert names(tmp_path) == ([] if is_push else ["back"])


def assert_nothing_is_half(place: Path, wanted: dict) -> None:
    there = {name: state for name, state in snapshot(place).items() if state[0] == "file" and ".arriving-" not in name}
    assert there.items() <= wanted.items()
