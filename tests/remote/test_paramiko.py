"""What paramiko does in OpenSSH's place, and what it may not do: trust, ask, or wait without end."""

import os
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostKeyError, HostUnreachableError
from cloudtrain.model.instance import SshEndpoint
from cloudtrain.remote import paramiko_link
from cloudtrain.remote.base import Forwarding
from cloudtrain.remote.connection import connection_to
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.paramiko_connection import ParamikoConnection
from cloudtrain.remote.paramiko_link import HeardSocket
from cloudtrain.remote.paramiko_route import route_to
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.remote.ssh_connection import SshConnection
from cloudtrain.testing.remote_files_contract import snapshot
from cloudtrain.testing.ssh_server import SshServer, free_port, make_key

from .conftest import Relay

MIB = 1 << 20

Reach = Callable[..., SshRemote]


@pytest.fixture
def reach(control: Path) -> Iterator[Reach]:
    lines: list[SshRemote] = []
    threads = set(threading.enumerate())

    def reach(endpoint: SshEndpoint, patience_s: float = 25.0) -> SshRemote:
        def connect(*words: object) -> ParamikoConnection:
            return ParamikoConnection(*words, patience_s)  # type: ignore[arg-type]

        lines.append(SshRemote(endpoint, control_folder=control, connect_timeout_s=1, connect=connect))
        return lines[-1]

    yield reach
    for line in lines:
        line.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(30)
        assert not thread.is_alive()


def test_it_takes_the_place_of_openssh_where_there_is_none(
    openssh: SshServer, control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(connection_to(openssh.endpoint, control, 1), SshConnection)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert isinstance(connection_to(openssh.endpoint, control, 1), ParamikoConnection)
    monkeypatch.setitem(__import__("sys").modules, "cloudtrain.remote.paramiko_connection", None)
    with pytest.raises(HostUnreachableError, match="no SSH client") as caught:
        connection_to(openssh.endpoint, control, 1)
    assert "cloudtrain[ssh]" in caught.value.hint


def test_another_host_key_is_another_machine_and_is_told_nothing(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    with pytest.raises(HostKeyError, match="nothing was sent"):
        reach(replace(openssh.endpoint, host_keys=(other,))).run(["true"])
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "k")], check=True)
    kinds = [(tmp_path / "k.pub").read_text().strip(), "ssh-unheard-of AAAA"]
    for key in kinds:
        with pytest.raises(HostKeyError):
            reach(replace(openssh.endpoint, host_keys=(key,))).run(["true"])
    assert reach(replace(openssh.endpoint, host_keys=(other, *openssh.endpoint.host_keys))).run(["true"]).exit_code == 0


@pytest.mark.parametrize("keys", [(), ("",), ("ssh-ed25519",), ("ssh-ed25519 AAAA\n* ssh-ed25519 AAAA",)])
def test_without_a_host_key_nobody_is_called(reach: Reach, keys: tuple[str, ...]) -> None:
    with pytest.raises(HostKeyError, match="nothing was sent"):
        reach(SshEndpoint("127.0.0.1", keys, free_port())).run(["true"])


def test_a_machine_that_does_not_let_us_in(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(HostUnreachableError, match=r"does not let us in with the key from .*stranger"):
        reach(replace(openssh.endpoint, identity_file=tmp_path / "stranger")).run(["true"])
    for name, content in (("absent", None), ("damaged", "no key")):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(HostUnreachableError, match="does not let us in") as caught:
            reach(replace(openssh.endpoint, identity_file=tmp_path / name)).run(["true"])
        assert f"{name} cannot be used" in caught.value.hint


def test_a_closed_door_and_one_behind_which_nobody_speaks(openssh: SshServer, reach: Reach) -> None:
    with pytest.raises(HostUnreachableError, match="refused"):
        reach(replace(openssh.endpoint, port=free_port())).run(["true"])
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(HostUnreachableError, match="No line to"):
        reach(replace(openssh.endpoint, port=silent.getsockname()[1])).run(["true"])


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent of its own for the test; a home without keys."""
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "a")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "a"))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield
        process.terminate()


def test_a_key_with_a_passphrase_is_the_agents_to_use(openssh: SshServer, reach: Reach, tmp_path: Path, agent: None) -> None:
    assert openssh.endpoint.identity_file is not None
    for name in ("key", "key.pub"):
        shutil.copy(openssh.endpoint.identity_file.with_name(name), tmp_path / name)
    locked = tmp_path / "key"
    endpoint = replace(openssh.endpoint, identity_file=locked)
    for number in range(6):  # strangers in the agent are not shown to a machine that wants one key
        make_key(tmp_path / f"other{number}")
        subprocess.run(["ssh-add", "-q", str(tmp_path / f"other{number}")], check=True)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a word", "-f", str(locked)], check=True, capture_output=True)
    with pytest.raises(HostUnreachableError, match="does not let us in") as caught:
        reach(endpoint).run(["true"])
    assert caught.value.hint == f"The key {locked} has a passphrase. Let your agent hold it: ssh-add {locked}"
    subprocess.run(["ssh-add", "-q", str(openssh.endpoint.identity_file)], check=True)
    assert reach(endpoint).run(["true"]).exit_code == 0
    with pytest.raises(HostUnreachableError, match="does not let us in") as caught:
        reach(replace(openssh.endpoint, identity_file=None)).run(["true"])
    assert "IdentityFile" in caught.value.hint  # the strangers were more than a server listens to
    subprocess.run(["ssh-add", "-q", "-D"], check=True)
    subprocess.run(["ssh-add", "-q", str(openssh.endpoint.identity_file)], check=True)
    assert reach(replace(openssh.endpoint, identity_file=None)).run(["true"]).exit_code == 0


def test_a_proxy_command_leads_there_and_ends_with_the_line(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    (tmp_path / "relay.py").write_text(
        "import os, socket, sys, threading\nopen(sys.argv[3], 'w').write(str(os.getpid()))\n"
        "s = socket.create_connection((sys.argv[1].replace('behind.invalid', '127.0.0.1'), int(sys.argv[2])))\n"
        "def up():\n while d := os.read(0, 65536): s.sendall(d)\n s.shutdown(1)\n"
        "threading.Thread(target=up, daemon=True).start()\nwhile d := s.recv(65536): os.write(1, d)\n"
    )
    command = f"python3 {tmp_path}/relay.py %h %p {tmp_path}/%%pid"
    remote = reach(replace(openssh.endpoint, host="behind.invalid", proxy_command=command))
    assert remote.run(["echo", "through"]).stdout == b"through\n"
    remote.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "%pid").read_text()), 0)
    with pytest.raises(HostUnreachableError, match="No line to behind"):
        reach(replace(openssh.endpoint, host="behind.invalid", proxy_command="exit 1")).run(["true"])


@pytest.mark.parametrize("option", [{"ProxyJump": "gate"}, {"proxyjump": "gate"}, {"CertificateFile": "x"}, {"HostName": "a"}])
def test_what_only_openssh_can_do_is_refused_and_not_dropped(openssh: SshServer, option: dict[str, str]) -> None:
    endpoint = replace(openssh.endpoint, options={"StrictHostKeyChecking": "no", **option})
    if "HostName" in option:
        assert route_to(endpoint, 1).host == "a"
        return
    with pytest.raises(HostUnreachableError, match="which is OpenSSH's") as caught:
        route_to(endpoint, 1)
    assert "apt install openssh-client" in caught.value.hint


def test_words_of_a_proxy_command_that_it_does_not_know_are_refused(openssh: SshServer) -> None:
    with pytest.raises(HostUnreachableError, match="%C in the proxy command"):
        route_to(replace(openssh.endpoint, proxy_command="nc %C"), 1)


def test_a_shell_for_a_person_says_what_it_needs_and_a_command_gets_our_streams(
    openssh: SshServer, reach: Reach, capfd: pytest.CaptureFixture[str]
) -> None:
    remote = reach(openssh.endpoint)
    with pytest.raises(HostUnreachableError, match="needs OpenSSH") as caught:
        remote.shell()
    assert "apt install openssh-client" in caught.value.hint
    assert remote.shell(["sh", "-c", "cat; echo here; echo there >&2; exit 7"]) == 7
    assert capfd.readouterr() == ("here\n", "there\n")


def test_more_commands_at_once_than_one_connection_takes_get_another_one(openssh: SshServer, reach: Reach) -> None:
    remote = reach(openssh.endpoint)
    programs = [remote._connection.start("echo here; exec cat") for _ in range(12)]
    try:
        assert [program.stdout.readline() for program in programs] == [b"here\n"] * 12
    finally:
        for program in programs:
            program.close()


class Watch:
    """The time by which a line's silence is judged: it goes on by `pace` seconds whenever somebody looks, or is set."""

    def __init__(self) -> None:
        self.now, self.pace = 0.0, 0.0

    def monotonic(self) -> float:
        self.now += self.pace
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A busy computer's own time would let lines fall silent that are only waiting for a core."""
    watch = Watch()
    monkeypatch.setattr(paramiko_link, "time", watch)
    monkeypatch.setattr(paramiko_link, "ASK_EVERY_S", 0.05)
    return watch


def test_a_line_that_falls_silent_is_noticed_and_a_new_one_is_made(openssh: SshServer, reach: Reach, watch: Watch) -> None:
    with Relay(openssh.endpoint.port) as relay:
        remote = reach(replace(openssh.endpoint, port=relay.port), 5.0)
        assert remote.run(["true"]).exit_code == 0
        with remote.stream(["sh", "-c", "echo begun; exec sleep 600"]) as chunks:
            assert next(chunks) == b"begun\n"
            relay.stall()
            watch.pace = 1.0
            with pytest.raises(HostUnreachableError, match="said nothing for 5 s"):
                next(chunks)
        watch.pace = 0.0
        relay.flow()
        assert remote.run(["true"]).exit_code == 0


def test_a_quiet_command_on_a_line_that_lives_is_left_alone(
    openssh: SshServer, reach: Reach, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_at: queue.Queue[float] = queue.Queue()
    receive = HeardSocket.recv

    def receiving(self: HeardSocket, count: int) -> bytes:
        content = receive(self, count)
        heard_at.put(self.heard_at)
        return content

    monkeypatch.setattr(HeardSocket, "recv", receiving)
    remote = reach(openssh.endpoint, 5.0)
    with remote.stream(["sh", "-c", "echo begun; exec sleep 600"]) as chunks:
        assert next(chunks) == b"begun\n"
        while not heard_at.empty():
            heard_at.get()
        for _ in range(50):  # its patience is judged several times meanwhile
            watch.now = max(watch.now, heard_at.get(timeout=30) + 4.0)
        assert watch.now >= 50.0
        assert remote.run(["true"]).exit_code == 0


def test_a_transfer_over_a_line_that_is_cut_goes_on(openssh: SshServer, reach: Reach, tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "x").write_bytes(os.urandom(16 * MIB))
    files = gather(tmp_path / "planted", ["."])
    with Relay(openssh.endpoint.port) as relay:
        remote = reach(replace(openssh.endpoint, port=relay.port))
        there = remote.home / "cut"
        for go in (lambda: remote.push(files, there), lambda: remote.pull(there, tmp_path / "back")):
            relay.befall("cut", 12 * MIB)
            with pytest.raises(HostUnreachableError):
                go()
            relay.flow()
            before = relay.carried
            try:
                go()
            except HostUnreachableError:  # the cut may still meet the first new line
                go()
            assert relay.carried - before < 12 * MIB  # the rest, and what was under way when the line was cut
    assert snapshot(tmp_path / "back") == snapshot(tmp_path / "planted") == snapshot(Path(there))


def test_a_port_of_the_machine_is_here_until_the_line_is_let_go(openssh: SshServer, reach: Reach) -> None:
    here = free_port()
    with socket.create_server(("127.0.0.1", 0)) as service:
        remote = reach(openssh.endpoint)
        assert isinstance(remote, Forwarding)
        stands = remote.forward(here, service.getsockname()[1])
        with socket.create_connection(("127.0.0.1", here), 30) as line:
            caller, _ = service.accept()
            with caller:
                line.sendall(b"to there")
                assert caller.recv(100) == b"to there"
                caller.sendall(b"from there")
                caller.shutdown(socket.SHUT_WR)
                line.settimeout(30)
                assert line.recv(100) == b"from there"
                assert line.recv(100) == b""
        assert stands()
        with pytest.raises(HostUnreachableError, match=f"Port {here} here"):
            reach(openssh.endpoint).forward(here, 1)
        remote.close()
    assert not stands()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", here), 30)


def test_a_port_comes_back_after_the_line_broke(openssh: SshServer, reach: Reach) -> None:
    here = free_port()
    with socket.create_server(("127.0.0.1", 0)) as service, Relay(openssh.endpoint.port) as relay:
        remote = reach(replace(openssh.endpoint, port=relay.port))
        assert isinstance(remote, Forwarding)
        there = service.getsockname()[1]
        stands = remote.forward(here, there)
        with remote.stream(["sleep", "600"]) as chunks:
            relay.flow()  # hangs up on who is there
            with pytest.raises(HostUnreachableError):
                next(chunks)
        assert not stands()
        stands = remote.forward(here, there)
        assert stands()
        with socket.create_connection(("127.0.0.1", here), 30):
            service.accept()[0].close()
