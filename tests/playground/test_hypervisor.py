"""What every kind of pretend machine does as a rented one does: boots by its user data, lets us in, ends when it is told."""

import base64
import gzip
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.testing.playground.machine import MachineOrder
from cloudtrain.testing.ssh_server import make_key

from .hypervisor_fixtures import NO_NAMESPACES, PATIENCE_S, Lab, idle, new_mark, processes_with, wait_for_end

KINDS = [
    pytest.param("namespace", marks=pytest.mark.skipif(bool(NO_NAMESPACES), reason=f"namespaces: {NO_NAMESPACES}")),
    "loopback",
]
METADATA = {"meta-data/instance-id": "i-born", "meta-data/placement/region": "us-east-1"}
ROOT = "$CLOUDTRAIN_GUEST_ROOT"
CONFIG = {
    "bootcmd": [
        f"echo 'boot command' >>{ROOT}/root/trace",
        ["sh", "-c", f'echo "it\'s $1" >>{ROOT}/root/trace', "sh", "a list"],
    ],
    "write_files": [
        {"path": "/etc/plain", "content": "ä\n", "permissions": "0640"},
        {"path": "/etc/coded", "content": base64.b64encode(b"\x00\xff").decode(), "encoding": "b64"},
        {"path": "/etc/deep/packed", "content": base64.b64encode(gzip.compress(b"packed")).decode(), "encoding": "gz+b64"},
        {"path": "/home/ubuntu/later", "content": "x", "owner": "ubuntu:ubuntu", "defer": True},
        {"path": "/root/trace", "content": "file\n", "append": True},
    ],
    "runcmd": [f"echo 'run command' >>{ROOT}/root/trace", ["echo", "said by runcmd"]],
    "packages": ["known-and-ignored"],
}
ASK_METADATA = """
import os, sys, urllib.error, urllib.request
base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
def ask(path, **headers):
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        method = "PUT" if path.endswith("token") else "GET"
        with open_(urllib.request.Request(base + path, headers=names, method=method), timeout=10) as reply:
            return reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code
print(ask("/latest/api/token"), ask("/latest/meta-data/instance-id"), ask("/latest/meta-data/", X_aws_ec2_metadata_token="no"))
token = ask("/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")
for path in sys.argv[1:]:
    print(repr(ask("/latest/" + path, X_aws_ec2_metadata_token=token)))
"""


@pytest.fixture(scope="module", params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), request.param)
    yield lab
    lab.hypervisor.close()


@pytest.fixture(scope="module")
def born(lab: Lab) -> str:
    """A machine that has booted for the first time, with two GPUs."""
    gpus = {"gpu": "NVIDIA A10G", "gpu_count": 2, "gpu_memory_mib": 23028, "compute_capability": "8.6"}
    return lab.boot(lab.order("i-born", CONFIG, metadata=METADATA, **gpus))


@pytest.fixture(autouse=True)
def nobody_is_told_by_surprise(lab: Lab) -> Iterator[None]:
    yield
    assert lab.told.empty()


def test_lets_in_who_has_the_key_and_nobody_else(lab: Lab, born: str, tmp_path: Path) -> None:
    assert lab.ssh(born, "exit 7").returncode == 7
    make_key(tmp_path / "stranger")
    refused = lab.ssh(born, "true", key=tmp_path / "stranger")
    assert refused.returncode == 255
    assert b"Permission denied (publickey)" in refused.stderr
    other = make_key(tmp_path / "other")
    assert b"Host key verification failed" in lab.ssh(born, "true", host_key=other).stderr


def test_does_in_cloud_inits_order_what_its_user_data_says(lab: Lab, born: str) -> None:
    waited = lab.ssh(born, "cloud-init status --wait")
    assert (waited.returncode, waited.stdout.split()[-2:]) == (0, [b"status:", b"done"])
    assert lab.run_in(born, f"cat {ROOT}/root/trace").stdout.decode().splitlines() == [
        "boot command",
        "it's a list",
        "file",
        "run command",
    ]
    assert (
        lab.run_in(born, f"cat {ROOT}/etc/plain {ROOT}/etc/coded {ROOT}/etc/deep/packed").stdout == b"\xc3\xa4\n\x00\xffpacked"
    )
    assert lab.run_in(born, f"stat -c %a {ROOT}/etc/plain {ROOT}/etc/coded").stdout.split() == [b"640", b"644"]
    assert lab.say(born, "cat ~/later && touch ~/later") == "x"
    assert b"said by runcmd" in lab.run_in(born, f"cat {ROOT}/var/log/cloud-init-output.log").stdout
    assert b"packages: known to cloud-init" in lab.run_in(born, f"cat {ROOT}/var/log/cloud-init.log").stdout
    assert "said by runcmd" in lab.hypervisor.console(born)


def test_carries_bytes_both_ways(lab: Lab, born: str) -> None:
    content = bytes(range(256)) * 4096
    carried = lab.ssh(born, "cat; echo error >&2", stdin=content)
    assert (carried.stdout == content, carried.stderr, carried.returncode) == (True, b"error\n", 0)
    assert lab.say(born, "echo $HOME; pwd").split()[0] == lab.say(born, "pwd").strip()


def test_has_a_terminal_when_asked(lab: Lab, born: str) -> None:
    done = lab.ssh(born, "-tt", "test -t 0 && test -t 1 && echo a terminal; exit 3")
    assert done.returncode == 3
    assert done.stdout.strip() == b"a terminal"


def test_forwards_a_connection(lab: Lab, born: str) -> None:
    endpoint = lab.say(born, "echo ${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254:80/}").strip()
    forward = endpoint.removeprefix("http://").rstrip("/")
    answer = lab.ssh(born, "-W", forward, stdin=b"GET /latest/ HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.stdout.startswith(b"HTTP/1.1 401 ")


def test_sudo_needs_no_password(lab: Lab, born: str) -> None:
    said = lab.say(born, """sudo -n true && sudo -n -E sh -c 'echo "$HOME" "$1"' sh one && sudo A=b sh -c 'echo $A'""")
    home, one, b = said.split()
    assert (Path(home).name, one, b) == ("root", "one", "b")


def test_metadata_wants_a_token_and_changes_live(lab: Lab, born: str) -> None:
    def ask(*paths: str) -> list[str]:
        done = lab.ssh(born, "python3", "-", *paths, stdin=ASK_METADATA.encode())
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().splitlines()

    notice = "meta-data/spot/instance-action"
    answers = ask("meta-data/instance-id", "meta-data/", notice, "api/nothing", "user-data")
    assert answers[:5] == ["400 401 401", "'i-born'", r"'instance-id\nplacement/'", "404", "404"]
    assert answers[5].startswith("'#cloud-config")
    lab.hypervisor.set_metadata(born, notice, '{"action": "terminate"}')
    assert ask(notice)[1:] == ["""'{"action": "terminate"}'"""]
    lab.hypervisor.set_metadata(born, notice, None)
    assert ask(notice)[1:] == ["404"]


def test_nvidia_smi_shows_what_was_ordered(lab: Lab, born: str) -> None:
    query = "nvidia-smi --query-gpu=index,name,memory.total,compute_cap,utilization.gpu --format=csv,noheader"
    assert lab.say(born, query + ",nounits").splitlines() == ["0, NVIDIA A10G, 23028, 8.6, 0", "1, NVIDIA A10G, 23028, 8.6, 0"]
    assert lab.say(born, "nvidia-smi -L").startswith("GPU 0: NVIDIA A10G (UUID: GPU-")
    lab.hypervisor.set_gpu_load(born, "97", "[N/A]")
    assert [line.split(", ")[-1] for line in lab.say(born, query).splitlines()] == ["97 %", "[N/A]"]
    lab.hypervisor.set_gpu_load(born, "fail")
    assert lab.ssh(born, "nvidia-smi").returncode == 9
    assert lab.ssh(born, "nvidia-smi --query-gpu=nonsense").returncode == 9
    lab.hypervisor.set_gpu_load(born, "0")
    assert lab.ssh(born, "nvidia-smi --query-gpu=nonsense").returncode == 2


def test_there_is_no_systemd(lab: Lab, born: str) -> None:
    done = lab.ssh(born, "systemctl is-active ssh || systemctl mask apt-daily.timer")
    assert done.returncode == 1
    assert b"not been booted with systemd" in done.stderr


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [({"runcmd": ["exit 3"]}, 1, b"status: error"), ({"not_a_key_of_cloud_init": 1}, 2, b"status: done")],
)
def test_status_tells_what_went_wrong(lab: Lab, config: dict[str, object], code: int, said: bytes) -> None:
    id = lab.boot(lab.order(f"i-wrong-{code}", config))
    waited = lab.ssh(id, "cloud-init status --wait --long")
    assert waited.returncode == code
    assert said in waited.stdout
    lab.hypervisor.destroy(id)


def test_malformed_user_data_lets_nobody_in(lab: Lab) -> None:
    whole = lab.order("i-malformed").user_data
    id = lab.boot(MachineOrder("i-malformed", whole + b"runcmd: [\n"))
    host_key = lab.run_in(id, f"cat {ROOT}/etc/ssh/ssh_host_ed25519_key.pub").stdout.decode().strip()
    assert b"Permission denied" in lab.ssh(id, "true", host_key=host_key).stderr
    assert b"Failed loading yaml blob" in lab.run_in(id, f"cat {ROOT}/var/log/cloud-init.log").stdout
    lab.hypervisor.destroy(id)


def test_a_script_runs_once_and_the_clouds_key_lets_in(lab: Lab) -> None:
    script = f"#!/bin/sh\necho once >>{ROOT}/root/script\n".encode()
    order = MachineOrder("i-script", script, metadata={"meta-data/public-keys/0/openssh-key": lab.key})
    for _ in range(2):
        id = lab.boot(order)
        assert lab.run_in(id, "cloud-init status --wait").returncode == 0
        lab.hypervisor.reboot(id)
    lab.wait_for_ssh(id)
    host_key = lab.run_in(id, f"cat {ROOT}/etc/ssh/ssh_host_ed25519_key.pub").stdout.decode().strip()
    assert lab.ssh(id, "true", host_key=host_key).returncode == 0
    assert lab.run_in(id, f"cat {ROOT}/root/script").stdout == b"once\n"
    lab.hypervisor.destroy(id)


def test_a_disk_outlives_a_machine_that_is_switched_off(lab: Lab) -> None:
    trace = {"bootcmd": [f"echo boot >>{ROOT}/root/boots"], "runcmd": [f"echo run >>{ROOT}/root/runs"]}
    order = lab.order("i-kept", trace)
    id = lab.boot(order)
    address = lab.booted[id].address
    lab.run_in(id, "cloud-init status --wait")
    boot_id = lab.run_in(id, f"cat {ROOT}/proc/sys/kernel/random/boot_id").stdout
    mark = new_mark()
    lab.ssh(id, f"echo mine >~/mine; {idle(mark)}")
    assert processes_with(mark)
    lab.hypervisor.switch_off(id)
    assert not processes_with(mark)
    assert lab.ssh(id, "true").returncode == 255
    lab.boot(order)
    assert lab.booted[id].address != address
    assert lab.say(id, "cat ~/mine") == "mine\n"
    lab.run_in(id, "cloud-init status --wait")
    assert lab.run_in(id, f"cat {ROOT}/root/boots {ROOT}/root/runs").stdout == b"boot\nboot\nrun\n"
    assert lab.run_in(id, f"cat {ROOT}/proc/sys/kernel/random/boot_id").stdout != boot_id
    lab.hypervisor.destroy(id)
    lab.boot(order)
    assert lab.ssh(id, "cat ~/mine").returncode == 1
    lab.hypervisor.destroy(id)
    lab.hypervisor.destroy(id)
    lab.hypervisor.switch_off(id)


def test_a_scheduled_shutdown(lab: Lab) -> None:
    id = lab.boot(lab.order("i-timed"))
    scheduled = f"{ROOT}/run/systemd/shutdown/scheduled"
    lab.say(id, "sudo -n shutdown -h +60 && sudo -n shutdown -P +10 'good night'")
    lines = lab.run_in(id, f"cat {scheduled}").stdout.decode().splitlines()
    assert lines[1:] == ["WARN_WALL=1", "MODE=poweroff", "WALL_MESSAGE=good night"]
    lasting = subprocess.Popen(
        lab.ssh_command(id, "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert lasting.stdin is not None
    assert lasting.stdout is not None
    with lasting:
        lasting.stdin.write(b"1")
        lasting.stdin.flush()
        assert lasting.stdout.read(1) == b"1"
        lab.hypervisor.advance(301)
        # Five minutes before the end nobody new is let in; who is there stays.
        assert b"Permission denied" in lab.ssh(id, "true").stderr
        lasting.stdin.write(b"2")
        lasting.stdin.flush()
        assert lasting.stdout.read(1) == b"2"
        assert lab.run_in(id, "shutdown -c").returncode == 0
        assert lab.run_in(id, f"cat {scheduled}").returncode != 0
        assert lab.ssh(id, "true").returncode == 0
        lab.hypervisor.advance(3600)
        assert lab.told.empty()
        assert lab.run_in(id, "shutdown +1").returncode == 0
        lab.hypervisor.advance(59)
        assert lab.told.empty()
        lab.hypervisor.advance(1)
        assert lab.told.get_nowait() == id
        lasting.wait(PATIENCE_S)
    assert lab.ssh(id, "true").returncode == 255
    lab.hypervisor.destroy(id)


def test_power_off_now_ends_everything_and_tells(lab: Lab) -> None:
    id = lab.boot(lab.order("i-off"))
    mark = new_mark()
    lab.ssh(id, idle(mark))
    (pid,) = processes_with(mark)
    lab.ssh(id, "sudo -n shutdown -h now")
    assert lab.told.get(timeout=PATIENCE_S) == id
    wait_for_end(pid)
    with pytest.raises(KeyError, match="is off"):
        lab.run_in(id, "true")
    lab.hypervisor.destroy(id)


def test_a_reboot_keeps_the_address_and_forgets_the_timers(lab: Lab) -> None:
    id = lab.boot(lab.order("i-again", {"bootcmd": [f"echo boot >>{ROOT}/root/boots"]}))
    first = lab.hypervisor.boot(lab.order("i-again"))
    assert first == lab.booted[id]
    lab.say(id, "sudo -n shutdown +9")
    lab.ssh(id, "sudo -n reboot")
    # Answered only when the machine has a new boot: the one that reboots holds the machine's lock.
    while b"boot\nboot\n" not in _boots(lab, id):
        pass
    lab.wait_for_ssh(id)
    assert lab.ssh(id, "true").returncode == 0
    lab.hypervisor.advance(600)
    assert lab.told.empty()
    assert lab.ssh(id, "true").returncode == 0
    assert b"No scheduled shutdown" in lab.run_in(id, "shutdown --show").stderr
    lab.hypervisor.destroy(id)


def test_a_reboot_with_another_order_shows_what_has_come_meanwhile(lab: Lab) -> None:
    id = lab.boot(lab.order("i-driven"))
    assert lab.run_in(id, "nvidia-smi -L").returncode != 0
    driven = replace(lab.order("i-driven"), gpu="NVIDIA A10-24Q", gpu_count=1)
    lab.hypervisor.reboot(id, driven)
    assert b"NVIDIA A10-24Q" in lab.run_in(id, "nvidia-smi -L").stdout
    lab.hypervisor.reboot(id)
    assert b"NVIDIA A10-24Q" in lab.run_in(id, "nvidia-smi -L").stdout
    lab.hypervisor.destroy(id)


def _boots(lab: Lab, id: str) -> bytes:
    try:
        return lab.run_in(id, f"cat {ROOT}/root/boots").stdout
    except (KeyError, OSError, ValueError):  # between two boots
        return b""


def test_a_halted_machine_is_still_switched_on_for_its_cloud(lab: Lab) -> None:
    id = lab.boot(lab.order("i-halted"))
    mark = new_mark()
    lab.ssh(id, idle(mark))
    (pid,) = processes_with(mark)
    lab.ssh(id, "sudo -n halt")
    wait_for_end(pid)
    lab.hypervisor.switch_off(id)
    assert lab.told.empty()
    lab.hypervisor.destroy(id)


def test_a_line_is_cut_and_mended(lab: Lab) -> None:
    id = lab.boot(lab.order("i-cut"))
    lab.hypervisor.cut_network(id)
    assert lab.ssh(id, "-o", "ConnectTimeout=1", "true").returncode == 255
    assert lab.run_in(id, "echo still here").stdout == b"still here\n"
    lab.hypervisor.mend_network(id)
    lab.wait_for_ssh(id)
    assert lab.ssh(id, "true").returncode == 0
    lab.hypervisor.destroy(id)


def test_a_command_that_hangs_is_given_up(lab: Lab, born: str) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        lab.hypervisor.run_in(born, ["sleep", "600"], timeout=0.2)
    assert lab.hypervisor.run_in(born, ["cat"], stdin=b"goes on").stdout == b"goes on"
