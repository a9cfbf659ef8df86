"""What a machine with namespaces has to itself, and that nothing of it stays."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.testing.playground.hypervisor.network import Network

from .hypervisor_fixtures import NO_NAMESPACES, Lab

pytestmark = pytest.mark.skipif(bool(NO_NAMESPACES), reason=f"namespaces: {NO_NAMESPACES}")

SMALL_DISK = 64 << 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("with spaces, and: more"), "namespace", disk_bytes=SMALL_DISK)
    yield lab
    lab.hypervisor.close()


@pytest.fixture(scope="module")
def machine(lab: Lab) -> str:
    return lab.boot(lab.order("i-own"))


def test_its_files_are_its_own(lab: Lab, machine: str, tmp_path: Path) -> None:
    assert lab.run_in(machine, "echo changed >/etc/hostname && echo mine >/usr/bin/mine && ls /var/log").returncode == 0
    assert Path("/etc/hostname").read_text() != "changed\n"
    assert not Path("/usr/bin/mine").exists()
    assert not lab.run_in(machine, f"ls {tmp_path}").stdout
    assert lab.run_in(machine, "ls -A /home /tmp /mnt").stdout.split() == [b"/home:", b"ubuntu", b"/mnt:", b"/tmp:"]


def test_it_has_no_more_than_its_own_processes_and_addresses(lab: Lab, machine: str) -> None:
    assert len(lab.run_in(machine, "ls -d /proc/[0-9]*").stdout.split()) < 10
    assert lab.run_in(machine, "hostname").stdout.strip() == b"i-own"
    links = lab.run_in(machine, "ls /sys/class/net").stdout.split()
    assert links == [b"eth0", b"lo"]
    address = lab.booted[machine].address
    assert lab.booted[machine].port == 22
    assert address in lab.run_in(machine, "ip addr show eth0").stdout.decode()


def test_its_uptime_begins_with_it(lab: Lab, machine: str) -> None:
    assert float(lab.run_in(machine, "cat /proc/uptime").stdout.split()[0]) < 300


def test_who_forgets_sudo_is_refused(lab: Lab, machine: str) -> None:
    assert lab.say(machine, "id -un; id -u; sudo id -un; sudo -u ubuntu id -un").split() == ["ubuntu", "1000", "root", "ubuntu"]
    assert lab.ssh(machine, "touch /etc/mine").returncode != 0
    assert lab.say(machine, "sudo touch /etc/mine && stat -c %U /etc/mine && touch mine && stat -c %U mine").split() == [
        "root",
        "ubuntu",
    ]
    refused = lab.ssh(machine, "shutdown +1")
    assert (refused.returncode, b"authentication required" in refused.stderr) == (1, True)
    assert lab.ssh(machine, "ls /run/systemd/shutdown").stdout == b""


def test_who_has_no_right_to_sudo_gets_none(lab: Lab, machine: str) -> None:
    assert lab.ssh(machine, "sudo setpriv --reuid=nobody --clear-groups sudo -n true").returncode != 0


def test_an_open_session_shows(lab: Lab, machine: str) -> None:
    assert lab.ssh(machine, "-tt", "who").stdout.startswith(b"ubuntu")


def test_a_full_disk_and_a_freed_one(lab: Lab, machine: str) -> None:
    lab.hypervisor.fill_disk(machine)
    full = lab.ssh(machine, "head -c 100000 /dev/zero >full")
    assert b"No space left on device" in full.stderr
    lab.hypervisor.free_disk(machine)
    assert lab.ssh(machine, "head -c 100000 /dev/zero >full").returncode == 0
    too_much = lab.ssh(machine, f"head -c {2 * SMALL_DISK} /dev/zero >full; rm full")
    assert b"No space left on device" in too_much.stderr


def test_it_boots_and_lets_in_with_a_full_disk(lab: Lab) -> None:
    id = lab.boot(lab.order("i-full", {"bootcmd": ["echo boot >>/run/booted"]}))
    lab.hypervisor.fill_disk(id)
    lab.hypervisor.reboot(id)
    lab.wait_for_ssh(id)
    assert lab.say(id, "cat /run/booted") == "boot\n"
    assert lab.say(id, "sudo shutdown +90; cat /run/systemd/shutdown/scheduled").startswith("USEC=")
    lab.hypervisor.destroy(id)


def test_its_ssh_server_comes_back_when_everything_was_killed(lab: Lab) -> None:
    id = lab.boot(lab.order("i-killed"))
    lab.ssh(id, "sudo sh -c 'kill -9 -1'")
    lab.wait_for_ssh(id)
    assert lab.ssh(id, "true").returncode == 0
    lab.hypervisor.destroy(id)


def test_it_reaches_this_computer_and_no_further(lab: Lab, machine: str) -> None:
    gateway = lab.hypervisor.gateway
    routes = lab.run_in(machine, "ip route").stdout.decode().splitlines()
    assert [line.split()[0] for line in routes] == [gateway]
    with socket.create_server((gateway, 0)) as server:
        ask = f"import socket; socket.create_connection({server.getsockname()!r}, 10).sendall(b'hello')"
        assert lab.ssh(machine, f'python3 -c "{ask}"').returncode == 0
        line, (address, _) = server.accept()
        with line:
            assert (line.recv(5), address) == (b"hello", lab.booted[machine].address)


def test_hypervisors_side_by_side_have_networks_of_their_own_and_sweep_them(lab: Lab) -> None:
    network = Network()
    assert network.gateway != lab.hypervisor.gateway
    link = f"ct{network.gateway.split('.')[2]}-9"
    network.close()
    subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", f"{link}p"], check=True)
    again = Network()
    assert again.gateway == network.gateway
    assert subprocess.run(["ip", "link", "show", link], capture_output=True).returncode != 0
    again.close()


def test_an_image_that_does_not_boot_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudtrain.testing.playground.hypervisor.image.RUN", "/proc/nowhere")
    with pytest.raises(RuntimeError, match="i-broken does not boot"):
        lab.hypervisor.boot(lab.order("i-broken"))
    monkeypatch.undo()
    lab.boot(lab.order("i-broken"))
    lab.hypervisor.destroy("i-broken")


def test_the_address_of_a_machine_that_is_off_is_nowhere(lab: Lab) -> None:
    id = lab.boot(lab.order("i-nowhere"))
    lab.hypervisor.switch_off(id)
    assert b"No route to host" in lab.ssh(id, "-o", "LogLevel=INFO", "true").stderr
    lab.hypervisor.destroy(id)
