"""What only SSH can do wrong: keys, doors, lines that break in the middle."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from cloudtrain.model.errors import HostKeyError, HostUnreachableError, RemoteError
from cloudtrain.model.instance import SshEndpoint
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.program import Program
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.remote.ssh_connection import SshConnection
from cloudtrain.remote.ssh_options import client_options
from cloudtrain.remote.wire import PATIENCE_S
from cloudtrain.testing.remote_files_contract import names, snapshot
from cloudtrain.testing.ssh_server import SshServer, asyncssh_server, free_port, make_key

from .conftest import Relay

MIB = 1 << 20


@pytest.fixture(params=["openssh", "asyncssh"])
def server(request: pytest.FixtureRequest) -> SshServer:
    return request.getfixturevalue(request.param)


@pytest.fixture
def reach(control: Path) -> Iterator[Callable[[SshEndpoint], SshRemote]]:
    lines: list[SshRemote] = []

    def reach(endpoint: SshEndpoint) -> SshRemote:
        lines.append(SshRemote(endpoint, control_folder=control, connect_timeout_s=1))
        return lines[-1]

    yield reach
    for line in lines:
        line.close()
    assert names(control) == []  # neither sockets nor keys stay behind


Reach = Callable[[SshEndpoint], SshRemote]


def test_another_host_key_is_another_machine(server: SshServer, reach: Reach, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    with pytest.raises(HostKeyError, match="nothing was sent"):
        reach(replace(server.endpoint, host_keys=(other,))).run(["true"])


def test_a_host_key_of_another_kind_is_another_machine(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "k")], check=True)
    with pytest.raises(HostKeyError):
        reach(replace(openssh.endpoint, host_keys=((tmp_path / "k.pub").read_text().strip(),))).run(["true"])


def test_one_of_several_host_keys_will_do(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    keys = (make_key(tmp_path / "other"), *openssh.endpoint.host_keys)
    assert reach(replace(openssh.endpoint, host_keys=keys)).run(["true"]).exit_code == 0


@pytest.mark.parametrize("keys", [(), ("",), ("ssh-ed25519",), ("ssh-ed25519 AAAA\n* ssh-ed25519 AAAA",)])
def test_without_a_host_key_nobody_is_called(reach: Reach, keys: tuple[str, ...]) -> None:
    with pytest.raises(HostKeyError, match="nothing was sent"):
        reach(SshEndpoint("127.0.0.1", keys, free_port())).run(["true"])


def test_a_machine_that_does_not_let_us_in(server: SshServer, reach: Reach, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    endpoint = replace(server.endpoint, identity_file=tmp_path / "stranger")
    with pytest.raises(HostUnreachableError, match="does not let us in") as caught:
        reach(endpoint).run(["true"])
    assert "ssh -v" in caught.value.hint


def test_a_closed_door(openssh: SshServer, reach: Reach) -> None:
    with pytest.raises(HostUnreachableError, match="refused"):
        reach(replace(openssh.endpoint, port=free_port())).run(["true"])


def test_a_door_behind_which_nobody_speaks(openssh: SshServer, reach: Reach) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(HostUnreachableError, match="No line to"):
        reach(replace(openssh.endpoint, port=silent.getsockname()[1])).run(["true"])


def test_a_host_is_never_an_option(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    with pytest.raises(HostUnreachableError, match="hostname"):
        reach(replace(openssh.endpoint, host=f"-oProxyCommand=touch {tmp_path}/owned")).run(["true"])
    assert names(tmp_path) == []


def test_options_of_the_endpoint_count_but_never_against_the_pinned_key(
    openssh: SshServer, reach: Reach, tmp_path: Path
) -> None:
    lax = {"StrictHostKeyChecking": "no", "userknownhostsfile": "/dev/null", "HostKeyAlias": "x", "ConnectTimeout": "7"}
    lax["KnownHostsCommand"] = f"/bin/echo * {openssh.endpoint.host_keys[0]}"
    endpoint = replace(openssh.endpoint, options=lax)
    arguments = client_options(endpoint, tmp_path, 10, "yes")
    shown = subprocess.run(["ssh", *arguments, "-G", "host"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert "connecttimeout 7" in shown
    assert "stricthostkeychecking true" in shown
    assert "forwardagent no" in shown
    assert f"userknownhostsfile {tmp_path}/known_hosts" in shown
    with pytest.raises(HostKeyError):
        reach(replace(endpoint, host_keys=(make_key(tmp_path / "other"),))).run(["true"])
    assert reach(endpoint).run(["true"]).exit_code == 0


def test_an_option_that_is_none_is_told(openssh: SshServer, reach: Reach) -> None:
    with pytest.raises(HostUnreachableError, match="no option"):
        reach(replace(openssh.endpoint, options={"a b": "c"})).run(["true"])


def test_a_proxy_command_leads_there(openssh: SshServer, reach: Reach) -> None:
    endpoint = replace(
        openssh.endpoint, host="behind.invalid", proxy_command=f"ssh-proxy-is-nc 127.0.0.1 {openssh.endpoint.port}"
    )
    relay = "import socket,sys,threading,os; s=socket.create_connection(('127.0.0.1',{0}))\n"
    relay += "def up():\n while d:=os.read(0,65536): s.sendall(d)\n s.shutdown(1)\n"
    relay += "threading.Thread(target=up,daemon=True).start()\nwhile d:=s.recv(65536): os.write(1,d)"
    script = Path(openssh.home).parent / "relay.py"
    script.write_text(relay.format(openssh.endpoint.port))
    endpoint = replace(endpoint, proxy_command=f"python3 {script}")
    assert reach(endpoint).run(["echo", "through"]).stdout == b"through\n"


def test_a_shell_that_talks_at_login_does_not_confuse_us(
    asyncssh: SshServer, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = reach(asyncssh.endpoint)
    start = remote._connection.start
    monkeypatch.setattr(remote._connection, "start", lambda command: start(f"echo welcome; printf '\\0\\1'; {command}"))
    assert remote.home == PurePosixPath(asyncssh.home) / ".cloudtrain"
    assert remote.run(["echo", "hello"]).stdout == b"hello\n"


def test_a_shell_that_never_stops_talking_is_left(asyncssh: SshServer, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = reach(asyncssh.endpoint)
    remote.run(["true"])
    start = remote._connection.start
    monkeypatch.setattr(remote._connection, "start", lambda _: start("yes"))
    with pytest.raises(RemoteError, match="does not stop talking"):
        remote.run(["true"])


def test_a_machine_that_speaks_nonsense_is_told(asyncssh: SshServer, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = reach(asyncssh.endpoint)
    remote.run(["true"])
    start = remote._connection.start
    for nonsense in ("9\\0\\0\\0\\0", "\\1\\377\\377\\377\\377", "\\0\\0\\0\\0\\2no"):
        command = f"printf '\\0cloudtrain line 1\\n{nonsense}'"
        monkeypatch.setattr(remote._connection, "start", lambda _, command=command: start(command))
        with pytest.raises(RemoteError, match="our language"):
            remote.run(["true"])


def test_a_machine_without_python_is_told(openssh: SshServer, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = reach(openssh.endpoint)
    start = remote._connection.start
    hidden = "command() { return 1; }; umask 077"
    monkeypatch.setattr(remote._connection, "start", lambda command: start(command.replace("umask 077", hidden)))
    with pytest.raises(RemoteError, match=r"no Python 3\.8"):
        remote.run(["true"])


def test_one_connection_serves_all_and_a_new_one_is_made_when_it_is_gone(openssh: SshServer, reach: Reach) -> None:
    remote = reach(openssh.endpoint)
    port = 'echo "$SSH_CONNECTION"'
    first, second = remote.run(["sh", "-c", port]).stdout, remote.run(["sh", "-c", port]).stdout
    assert first == second
    remote.close()
    assert remote.run(["sh", "-c", port]).stdout not in (b"\n", first)


def test_no_secret_is_on_any_command_line(openssh: SshServer, reach: Reach) -> None:
    script = "cat >/dev/null; for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done"
    said = reach(openssh.endpoint).run(["sh", "-c", script, "an argument"], stdin=b"the-secret-itself").stdout
    assert b"an argument" in said
    assert b"the-secret-itself" not in said


def test_a_line_that_breaks_during_a_command(openssh: SshServer, reach: Reach) -> None:
    remote = reach(openssh.endpoint)
    # The shell's parent is the runner, and the runner's is the server's side of this very connection.
    script = 'echo said; kill -9 "$(ps -o ppid= -p $PPID | tr -d " ")"; exec cat'
    with pytest.raises(HostUnreachableError):
        remote.run(["sh", "-c", script], timeout=30)
    assert remote.run(["true"]).exit_code == 0


def test_an_agent_that_was_sent_ahead_carries_the_push_it_was_sent_for_and_goes_when_none_comes(
    openssh: SshServer, reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    remote = reach(openssh.endpoint)
    there = remote.home / "expected"
    started: list[Program] = []
    start = SshConnection.start

    def noting(self: SshConnection, command: str) -> Program:
        started.append(start(self, command))
        return started[-1]

    monkeypatch.setattr(SshConnection, "start", noting)
    remote.expect_push(there)
    remote.push(gather(tmp_path, ["x"]), there)
    assert len(started) == 1
    assert Path(there, "x").read_bytes() == b"content"
    remote.push(gather(tmp_path, ["x"]), there)
    remote.expect_push(there)
    remote.expect_push(there)
    assert len(started) == 3
    remote.close()
    assert started[2].wait(5) is not None


def test_an_agent_sent_ahead_over_a_line_that_broke_is_no_worse_than_the_broken_line(
    openssh: SshServer, reach: Reach, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    with Relay(openssh.endpoint.port) as relay:
        remote = reach(replace(openssh.endpoint, port=relay.port))
        there = remote.home / "broken"
        remote.expect_push(there)
        relay.befall("cut", 0)
        with pytest.raises(HostUnreachableError):
            remote.push(gather(tmp_path, ["x"]), there)
        relay.flow()
        remote.push(gather(tmp_path, ["x"]), there)
    assert Path(there, "x").read_bytes() == b"content"


def test_a_line_that_falls_silent_is_given_up_within_thirty_seconds(openssh: SshServer, tmp_path: Path) -> None:
    arguments = client_options(openssh.endpoint, tmp_path, 10, "yes")
    said = subprocess.run(["ssh", "-F", "none", *arguments, "-G", "host"], capture_output=True, text=True, check=True).stdout
    shown = dict(line.split(" ", 1) for line in said.splitlines())
    assert int(shown["serveraliveinterval"]) * (int(shown["serveralivecountmax"]) + 1) <= 30
    assert PATIENCE_S <= 30


def test_a_line_that_falls_silent_breaks_and_a_new_one_goes_on(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    sooner = {"ServerAliveInterval": "1", "ServerAliveCountMax": "1"}
    (tmp_path / "x").write_bytes(os.urandom(3 * MIB))
    with Relay(openssh.endpoint.port) as relay:
        remote = reach(replace(openssh.endpoint, port=relay.port, options=sooner))
        assert remote.run(["true"]).exit_code == 0
        with remote.stream(["sh", "-c", "echo begun; exec sleep 600"]) as chunks:
            assert next(chunks) == b"begun\n"
            relay.stall()
            with pytest.raises(HostUnreachableError):
                next(chunks)
        relay.flow()
        there = remote.home / "silent"
        remote.push(gather(tmp_path, ["."]), there)
        assert snapshot(Path(there)) == snapshot(tmp_path)


@pytest.fixture
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with asyncssh_server(tmp_path_factory.mktemp("cut"), cut_after_bytes=2 * MIB) as server:
        yield server


def test_a_line_cut_during_a_push(cut: SshServer, reach: Reach, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(os.urandom(MIB))
    remote = reach(cut.endpoint)
    with pytest.raises(HostUnreachableError):
        remote.push(gather(tmp_path, ["."]), remote.home / "work")
    arrived = {path.name: path.stat().st_size for path in (cut.home / ".cloudtrain" / "work").glob("[abc]")}
    assert set(arrived) <= {"a", "b"}
    assert set(arrived.values()) <= {MIB}


def test_a_line_cut_during_a_pull_leaves_nothing_that_is_seen_and_the_next_one_goes_on(
    cut: SshServer, reach: Reach, tmp_path: Path
) -> None:
    remote = reach(cut.endpoint)
    home = Path(remote.home)
    (home / "results").mkdir()
    for name in ("a", "b", "c"):
        (home / "results" / name).write_bytes(os.urandom(MIB))
    with pytest.raises(HostUnreachableError):
        remote.pull(remote.home / "results", tmp_path / "back")
    (kept,) = names(tmp_path)
    assert kept.startswith(".arriving-")
    for _ in range(6):  # about one file and a half pass before the line is cut, and what passed is not sent again
        try:
            remote.pull(remote.home / "results", tmp_path / "back")
            break
        except HostUnreachableError:
            assert names(tmp_path) == [kept]
    assert names(tmp_path) == ["back"]
    assert snapshot(tmp_path / "back") == snapshot(home / "results")


def test_a_line_cut_during_a_stream_is_no_end(cut: SshServer, reach: Reach) -> None:
    with reach(cut.endpoint).stream(["yes"]) as chunks:
        said = until_it_breaks(chunks)
    assert 0 < len(said) <= 2 * MIB
    assert said.removesuffix(b"y").replace(b"y\n", b"") == b""


def test_several_commands_at_once_do_not_mix(openssh: SshServer, reach: Reach) -> None:
    remote = reach(openssh.endpoint)
    assert remote.home
    said: dict[int, bytes] = {}

    def ask(number: int) -> None:
        said[number] = remote.run(["sh", "-c", f"yes {number} | head -n 2000"]).stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: b"%d\n" % number * 2000 for number in range(4)}


def test_a_long_control_folder_is_replaced_by_a_short_one(openssh: SshServer, tmp_path: Path) -> None:
    with SshRemote(openssh.endpoint, control_folder=tmp_path / ("long" * 40)) as remote:
        assert remote.run(["true"]).exit_code == 0


def test_a_control_folder_of_others_is_not_used(openssh: SshServer, tmp_path: Path) -> None:
    shared = tmp_path / "s"
    shared.mkdir()
    shared.chmod(0o777)
    with SshRemote(openssh.endpoint, control_folder=shared) as remote:
        assert remote.run(["true"]).exit_code == 0
        assert names(shared) == []


def until_it_breaks(chunks: Iterator[bytes]) -> bytes:
    """Return what came before the line broke."""
    said: list[bytes] = []
    with pytest.raises(HostUnreachableError):
        said.extend(chunks)  # a list keeps what came before the error
    return b"".join(said)
