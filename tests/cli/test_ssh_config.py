"""ssh-config and forward: machines for a person's own ssh, and their ports."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain import carrying
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, SshEndpoint
from cloudtrain.model.spec import MachineSpec
from cloudtrain.wiring import open_tools

from .conftest import NOON, Cli, config

ENDPOINT = SshEndpoint("192.0.2.7", ("ssh-ed25519 AAAA",), user="ubuntu")
LAB = Instance(InstanceRef("memory", "mem-1"), "lab", InstanceState.RUNNING, endpoint=ENDPOINT, deadline=NOON)


@pytest.fixture(autouse=True)
def my_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    return tmp_path / "me"


def save(instance: Instance | None) -> None:
    with open_tools() as tools:
        tools.ledger.save_machine(MachineSpec("lab", "memory"), instance)


@pytest.mark.parametrize(
    "then",
    [
        None,
        replace(LAB, state=InstanceState.TERMINATED),
        replace(LAB, state=InstanceState.STOPPED),
        replace(LAB, endpoint=None),
    ],
)
def test_a_machine_is_known_to_ssh_as_long_as_it_runs(then: Instance | None, cli: Cli, my_home: Path) -> None:
    save(LAB)
    said = cli("ssh-config", "--json").json
    assert "Host lab\n    HostName 192.0.2.7\n" in said["machines"]["lab"]
    assert said["is_installed"] is False
    save(replace(LAB, endpoint=replace(ENDPOINT, host="192.0.2.8")))
    assert "HostName 192.0.2.8\n" in cli("ssh-config").out
    save(then)
    assert cli("ssh-config", "--json").json["machines"] == {}
    assert not my_home.exists()  # nothing outside our own folder was touched


def test_the_line_is_installed_when_a_person_asks_for_it(cli: Cli, home: Path, my_home: Path) -> None:
    assert "does not include them yet: cloudtrain ssh-config --install" in cli("ssh-config").err
    assert cli("ssh-config", "--install").code == 0
    assert (my_home / ".ssh/config").read_text() == f'Include "{home}/ssh/*.conf"\n'
    assert "included already" in cli("ssh-config", "--install").err
    assert cli("ssh-config", "--json").json["is_installed"] is True


def test_a_folder_that_cannot_be_written_to_stops_nothing(home: Path) -> None:
    home.mkdir()
    (home / "ssh").write_text("in the way")
    save(LAB)
    with open_tools() as tools:
        assert tools.ledger.machine("lab").instance == LAB


def test_a_pretend_machine_has_no_ports_of_its_own(cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.cpu]")
    assert cli("start", "pretend").code == 0
    said = cli("forward", "pretend", "8888")
    assert said.code == 2
    assert said.err.endswith("Its ports are open here: http://127.0.0.1:8888\n")


@pytest.mark.parametrize("ports", ["eight", "0", "70000", "8888:", "1:2:3", "-1", "²"])
def test_what_is_no_port_is_bad_input(ports: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "forward", lambda *_: None)
    assert cli("forward", "lab", "--", ports).code == (0 if ports == "8888:" else 2)


def test_ctrl_c_is_how_a_forwarding_ends(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def interrupted(name: str, here: int, there: int, _: object) -> None:
        asked.extend([name, here, there])
        raise KeyboardInterrupt

    monkeypatch.setattr(carrying, "forward", interrupted)
    assert cli("forward", "lab", "6007:6006").code == 0
    assert asked == ["lab", 6007, 6006]
