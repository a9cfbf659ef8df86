"""A person's own ssh reaches the machine by name, and nothing of theirs is touched but one line they asked for."""

import os
import select
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import ConfigError, HostUnreachableError
from cloudtrain.model.instance import SshEndpoint
from cloudtrain.remote.base import Forwarding
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.remote.ssh_config import SshConfig
from cloudtrain.testing.ssh_server import SshServer, free_port, make_key

ENDPOINT = SshEndpoint("192.0.2.7", ("ssh-ed25519 AAAA",), 2222, "ubuntu", Path("/keys/a key"))


@pytest.fixture
def files(tmp_path: Path) -> SshConfig:
    return SshConfig(tmp_path / "state of mine" / "ssh")


def ask(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_ssh_by_name_runs_a_command_there_with_the_pinned_key(openssh: SshServer, files: SshConfig, tmp_path: Path) -> None:
    config = tmp_path / "config"
    assert files.write("lab", openssh.endpoint)
    assert files.install(config)
    done = ask(config, "lab", "echo here")
    assert (done.returncode, done.stdout) == (0, "here\n")

    impostor = make_key(tmp_path / "another")
    files.write("lab", replace(openssh.endpoint, host_keys=(impostor,)))
    assert ask(config, "lab", "true").returncode == 255

    files.remove("lab")
    assert ask(config, "-o", "ConnectTimeout=1", "lab", "true").returncode == 255
    assert list((tmp_path / "state of mine" / "ssh").iterdir()) == []


def test_rsync_by_hand_reaches_it_by_name(openssh: SshServer, files: SshConfig, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("no rsync here")
    config = tmp_path / "config"
    (tmp_path / "a").write_text("carried")
    files.write("lab", openssh.endpoint)
    files.install(config)
    command = ["rsync", "-e", f"ssh -F {config} -o BatchMode=yes", str(tmp_path / "a"), f"lab:{openssh.home}/by-hand"]
    assert subprocess.run(command, timeout=60, stdin=subprocess.DEVNULL).returncode == 0
    assert (openssh.home / "by-hand").read_text() == "carried"


def test_a_block_says_what_a_person_would_write(files: SshConfig, tmp_path: Path) -> None:
    config = tmp_path / "config"
    files.write("aws-p3", replace(ENDPOINT, proxy_command="nc %h %p", options={"Compression": "yes", "Port": "1"}))
    files.install(config)
    said = dict(line.split(" ", 1) for line in ask(config, "-G", "aws-p3").stdout.splitlines())
    assert said["hostname"] == "192.0.2.7"
    assert (said["port"], said["user"], said["compression"]) == ("2222", "ubuntu", "yes")
    assert said["identityfile"] == "/keys/a key"
    assert said["stricthostkeychecking"] in ("true", "yes")
    assert said["userknownhostsfile"] == str(tmp_path / "state of mine/ssh/aws-p3.known_hosts")
    assert said["hostkeyalias"].startswith("cloudtrain-")
    assert said["proxycommand"] == "nc %h %p"
    assert (tmp_path / "state of mine/ssh/aws-p3.conf").stat().st_mode & 0o777 == 0o600
    other = dict(line.split(" ", 1) for line in ask(config, "-G", "elsewhere").stdout.splitlines())
    assert other["hostname"] == "elsewhere"


@pytest.mark.parametrize(
    "endpoint",
    [
        replace(ENDPOINT, host_keys=()),
        replace(ENDPOINT, host="a\nHost *"),
        replace(ENDPOINT, host="a b"),
        replace(ENDPOINT, user="root\n    ProxyCommand evil"),
        replace(ENDPOINT, proxy_command="a\nProxyCommand b"),
        replace(ENDPOINT, identity_file=Path('/keys/a"b')),
        replace(ENDPOINT, options={"LocalCommand\nx": "y"}),
        replace(ENDPOINT, options={"LocalCommand": "y\nHost *"}),
    ],
)
def test_what_would_say_something_else_is_not_written_and_what_was_is_gone(endpoint: SshEndpoint, files: SshConfig) -> None:
    assert files.write("lab", ENDPOINT)
    assert not files.write("lab", endpoint)
    assert files.names() == []


@pytest.mark.parametrize("name", ["*", "../config", "a b", "", "-x"])
def test_a_name_that_ssh_would_read_otherwise_is_not_written(name: str, files: SshConfig, tmp_path: Path) -> None:
    (tmp_path / "state of mine").mkdir()
    (tmp_path / "state of mine" / "config.conf").write_text("mine")
    assert not files.write(name, ENDPOINT)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["config.conf"]


def test_the_line_comes_first_once_and_all_else_stays_byte_for_byte(files: SshConfig, tmp_path: Path) -> None:
    mine = b"# mine \xff\r\nHost *\n  User me\n\n\nHost last\n  Port 1"
    target = tmp_path / "dotfiles" / "config"
    target.parent.mkdir()
    target.write_bytes(mine)
    target.chmod(0o640)
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    config.symlink_to(target)
    assert not files.is_included(config)
    assert files.install(config)
    assert not files.install(config)
    assert config.is_symlink()
    assert target.read_bytes() == files.include.encode() + b"\n" + mine
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["config"]


def test_where_there_is_no_configuration_yet_a_private_one_is_made(files: SshConfig, tmp_path: Path) -> None:
    config = tmp_path / ".ssh" / "config"
    assert files.install(config)
    assert config.read_text() == f"{files.include}\n"
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_configuration_that_cannot_be_read_is_left_and_the_line_is_told(files: SshConfig, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    with pytest.raises(ConfigError) as refusal:
        files.install(tmp_path / "config")
    assert files.include in refusal.value.hint


@pytest.fixture
def echo_port() -> int:
    """A port of the machine where somebody answers once for each who calls."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            for _ in range(2):
                caller, _ = listener.accept()
                with caller:
                    caller.sendall(b"from there")

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def test_a_port_of_the_machine_is_here_until_the_line_is_let_go(openssh: SshServer, control: Path, echo_port: int) -> None:
    here = free_port()
    with SshRemote(openssh.endpoint, control_folder=control) as remote:
        assert isinstance(remote, Forwarding)
        stands = remote.forward(here, echo_port)
        with socket.create_connection(("127.0.0.1", here), 30) as line:
            line.settimeout(30)
            assert line.recv(100) == b"from there"
        assert stands()
        with (
            SshRemote(openssh.endpoint, control_folder=control) as another,
            pytest.raises(HostUnreachableError, match=f"Port {here} here"),
        ):
            another.forward(here, echo_port)
    assert not stands()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", here), 30)


def test_a_port_comes_back_after_the_connection_was_killed(openssh: SshServer, control: Path, echo_port: int) -> None:
    here = free_port()
    with SshRemote(openssh.endpoint, control_folder=control) as remote:
        stands = remote.forward(here, echo_port)
        (socket_path,) = control.glob("*/s")
        said = subprocess.run(["ssh", "-S", str(socket_path), "-O", "check", "x"], capture_output=True, text=True, check=True)
        master = int(said.stderr.partition("pid=")[2].partition(")")[0])
        with os.fdopen(os.pidfd_open(master), "rb", buffering=0) as process:
            os.kill(master, signal.SIGKILL)
            select.select([process], [], [], 30)
        assert not stands()
        assert remote.forward(here, echo_port)()
        with socket.create_connection(("127.0.0.1", here), 30) as line:
            line.settimeout(30)
            assert line.recv(100) == b"from there"


def test_a_person_s_own_forwardings_are_not_opened_with_it(openssh: SshServer, control: Path, echo_port: int) -> None:
    here, theirs = free_port(), free_port()
    endpoint = replace(openssh.endpoint, options={"LocalForward": f"{theirs} 127.0.0.1:{echo_port}"})
    with SshRemote(endpoint, control_folder=control) as remote:
        remote.run(["true"])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", theirs), 30)
        remote.forward(here, echo_port)
        with socket.create_connection(("127.0.0.1", here), 30) as line:
            line.settimeout(30)
            assert line.recv(100) == b"from there"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", theirs), 30)
