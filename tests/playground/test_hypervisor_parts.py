"""The hypervisor's pieces that need no machine: what was asked of `shutdown`, the clock, user data, tokens, addresses."""

import base64
import gzip
import io
import json
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.testing.playground.hypervisor import power, user_data
from cloudtrain.testing.playground.hypervisor.directory import Directory
from cloudtrain.testing.playground.hypervisor.metadata import Metadata
from cloudtrain.testing.playground.hypervisor.timers import Timers
from cloudtrain.testing.playground.machine import MachineOrder

NOW = datetime(2026, 11, 21, 23, 0, 30, tzinfo=UTC)
CONNECT = [sys.executable, "-m", "cloudtrain.testing.playground.connect"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("shutdown", power.Act("poweroff", 60.0)),
        ("shutdown now", power.Act("poweroff")),
        ("shutdown -h now", power.Act("poweroff")),
        ("shutdown -h +0", power.Act("poweroff")),
        ("shutdown -P +10", power.Act("poweroff", 600.0)),
        ("shutdown --poweroff +10", power.Act("poweroff", 600.0)),
        ("shutdown +5 good night", power.Act("poweroff", 300.0, "good night")),
        ("shutdown -h 23:30", power.Act("poweroff", 1770.0)),
        ("shutdown -h 23:00", power.Act("poweroff", 86370.0)),
        ("shutdown -r now", power.Act("reboot")),
        ("shutdown -H +1", power.Act("halt", 60.0)),
        ("shutdown -h -H +1", power.Act("halt", 60.0)),
        ("shutdown -c", power.Cancel()),
        ("shutdown --show", power.Show()),
        ("shutdown -k now", power.Refuse("", 0)),
        ("shutdown 5", power.Refuse("Failed to parse time specification: 5\n")),
        ("shutdown 24:00", power.Refuse("Failed to parse time specification: 24:00\n")),
        ("poweroff", power.Act("poweroff")),
        ("poweroff -f", power.Act("poweroff")),
        ("poweroff --reboot", power.Act("reboot")),
        ("poweroff -w", power.Act("poweroff")),
        ("poweroff --wtmp-only", power.Refuse("", 0)),
        ("halt", power.Act("halt")),
        ("halt -p", power.Act("poweroff")),
        ("reboot", power.Act("reboot")),
        ("init 0", power.Act("poweroff")),
        ("init 6", power.Act("reboot")),
        ("systemctl poweroff", power.Act("poweroff")),
        ("systemctl --no-block reboot", power.Act("reboot")),
    ],
)
def test_reads_command_lines_as_systemd_does(line: str, wanted: power.Request) -> None:
    tool, *argv = line.split()
    assert power.read(tool, argv, NOW) == wanted


@pytest.mark.parametrize("line", ["systemctl is-active ssh", "systemctl mask x", "systemctl", "init 3", "init"])
def test_refuses_what_the_machine_has_not(line: str) -> None:
    tool, *argv = line.split()
    refused = power.read(tool, argv, NOW)
    assert isinstance(refused, power.Refuse)
    assert refused.exit_code == 1
    assert refused.text


def test_timers_happen_in_their_order_before_advance_returns() -> None:
    timers = Timers()
    happened: list[str] = []
    start = timers.now()
    timers.set("b", 200.0, lambda: happened.append("b"))
    timers.set("a", 100.0, lambda: happened.append("a"))
    timers.set("c", 100.0, lambda: happened.append("c"))
    timers.set("far", 1000.0, lambda: happened.append("far"))
    timers.cancel("c")
    timers.advance(99.0)
    assert happened == []
    timers.advance(101.0)
    assert happened == ["a", "b"]
    assert 200.0 <= timers.now() - start < 290.0
    with pytest.raises(ValueError, match="does not go back"):
        timers.advance(-1.0)
    timers.close()
    assert happened == ["a", "b"]


def test_a_timer_comes_due_by_itself() -> None:
    timers = Timers()
    happened = threading.Event()
    timers.set("a", 0.01, happened.set)
    assert happened.wait(10)
    timers.close()


def _plan(text: str, **more: Any) -> dict[str, Any]:
    return user_data.read(MachineOrder("i-1", text.encode(), **more))


def test_reads_gzipped_user_data() -> None:
    content = io.BytesIO()
    with gzip.open(content, "wb") as file:
        file.write(b'#cloud-config\nruncmd: [echo one, [echo, "it\'s"]]\n')
    plan = user_data.read(MachineOrder("i-1", content.getvalue()))
    assert plan["runcmd"] == "#!/bin/sh\necho one\n'echo' 'it'\\''s'\n"
    assert plan["log"] == []


def test_who_may_log_in() -> None:
    keys = {"meta-data/public-keys/0/openssh-key": "ssh-ed25519 AAA cloud\n"}
    assert _plan("", metadata=keys)["users"] == [{"name": "ubuntu", "sudo": True, "keys": ["ssh-ed25519 AAA cloud"]}]
    config = "#cloud-config\nallow_public_ssh_keys: false\nssh_authorized_keys: [k]\n"
    config += "users: [default, {name: eve, ssh_authorized_keys: [e]}]"
    assert _plan(config, metadata=keys, user="admin")["users"] == [
        {"name": "admin", "sudo": True, "keys": ["k"]},
        {"name": "eve", "sudo": False, "keys": ["e"]},
    ]
    assert _plan("#cloud-config\nusers: []\nssh_authorized_keys: [k]")["users"] == []


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("#cloud-config\n- a list\n", "WARNING", "root types"),
        ("#cloud-config\n{", "WARNING", "Failed loading yaml blob"),
        ("runcmd: [no header]\n", "WARNING", "Unhandled non-multipart"),
        ("#cloud-config\nno_such_key: 1\n", "WARNING", "no_such_key"),
        ("#cloud-config\ntimezone: UTC\n", "INFO", "timezone"),
        ("#cloud-config\nruncmd: text\n", "ERROR", "shellify"),
        ("#cloud-config\nbootcmd: [{a: b}]\n", "ERROR", "shellify"),
        ("#cloud-config\nwrite_files: [{content: x}]\n", "WARNING", "No path"),
        ("#cloud-config\nwrite_files: [{path: /x, permissions: rwx}]\n", "WARNING", "Undecodable permissions"),
        ("#cloud-config\nwrite_files: [{path: /x, encoding: rot13}]\n", "WARNING", "Unknown encoding"),
        ("#cloud-config\nssh_keys: [k]\n", "WARNING", "ssh_keys"),
        ("#cloud-config\nssh_authorized_keys: k\n", "WARNING", "ssh_authorized_keys"),
    ],
)
def test_says_what_it_could_not_read(text: str, level: str, said: str) -> None:
    ((its_level, its_text),) = _plan(text)["log"]
    assert its_level == level
    assert said in its_text


def test_files_that_cannot_be_decoded_fail_on_the_machine() -> None:
    (file,) = _plan("#cloud-config\nwrite_files: [{path: /x, encoding: gz+b64, content: eA==}]\n")["files"]
    assert file["trouble"].startswith("BadGzipFile")
    (octal,) = _plan("#cloud-config\nwrite_files: [{path: /x, permissions: 0600, content: !!binary AP8=}]\n")["files"]
    assert (octal["mode"], base64.b64decode(octal["content"])) == (0o600, b"\x00\xff")


def _ask(service: Metadata, request: str) -> str:
    ours, its = socket.socketpair()
    with ours:
        ours.sendall(request.replace("\n", "\r\n").encode())
        ours.shutdown(socket.SHUT_WR)
        service.answer(its)
        said = b""
        while more := ours.recv(4096):
            said += more
    return said.decode()


def test_tokens_grow_old_and_are_refused_to_who_is_forwarded() -> None:
    now = [0.0]
    service = Metadata({"meta-data/a": "1", "meta-data/b/c": "2"}, lambda: now[0])
    put = "PUT /latest/api/token HTTP/1.1\nX-aws-ec2-metadata-token-ttl-seconds: {}\n{}\n"
    assert _ask(service, put.format(21601, "")).startswith("HTTP/1.1 400 ")
    assert _ask(service, put.format(60, "X-Forwarded-For: 1.2.3.4\n")).startswith("HTTP/1.1 403 ")
    given = _ask(service, put.format(60, ""))
    assert "X-aws-ec2-metadata-token-ttl-seconds: 60" in given
    token = given.rpartition("\r\n")[2]
    get = f"GET /latest/meta-data HTTP/1.1\nX-aws-ec2-metadata-token: {token}\n\n"
    assert _ask(service, get).endswith("\r\n\r\na\nb/")
    now[0] = 60.0
    assert _ask(service, get).startswith("HTTP/1.1 401 ")


def test_connect_carries_and_refuses(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        directory.put("127.88.0.1", "127.0.0.1", server.getsockname()[1])
        with subprocess.Popen(
            [*CONNECT, str(tmp_path), "127.88.0.1", "22"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            line, _ = server.accept()
            with line:
                client.stdin.write(b"there")
                client.stdin.close()
                assert line.makefile("rb").read() == b"there"
                line.sendall(b"and back")
            assert client.stdout.read() == b"and back"
            assert client.wait(30) == 0
    refused = subprocess.run([*CONNECT, str(tmp_path), "127.88.0.1", "22"], capture_output=True, timeout=30)
    assert (refused.returncode, b"refused" in refused.stderr) == (1, True)
    directory.remove("127.88.0.1")
    for folder in (tmp_path, tmp_path / "nowhere"):
        unknown = subprocess.run([*CONNECT, str(folder), "127.88.0.1", "22"], capture_output=True, timeout=30)
        assert (unknown.returncode, b"no machine runs at this address" in unknown.stderr) == (1, True)
    assert subprocess.run(CONNECT, capture_output=True, timeout=30).returncode == 2


def test_connect_waits_for_a_line_that_is_cut(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        directory.put("127.88.0.1", "127.0.0.1", server.getsockname()[1])
        directory.cut("127.88.0.1", is_cut=True)
        with subprocess.Popen([*CONNECT, str(tmp_path), "127.88.0.1", "22"], stdin=subprocess.DEVNULL) as client:
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()
            server.setblocking(True)
            directory.cut("127.88.0.1", is_cut=False)
            server.accept()[0].close()
            assert client.wait(30) == 0
    assert json.loads((tmp_path / "machines.json").read_text())["127.88.0.1"]["cut"] is False


def test_connect_imports_nothing_heavy() -> None:
    look = (
        "import sys, cloudtrain.testing.playground.connect as c; print([m for m in sys.modules if m.startswith('cloudtrain')])"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(
        ["cloudtrain", "cloudtrain.testing", "cloudtrain.testing.playground", "cloudtrain.testing.playground.connect"]
    )
