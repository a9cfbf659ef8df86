"""Every line keeps the same law: this machine's own, the pretended one, OpenSSH's client and paramiko
to OpenSSH's server and asyncssh's."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.remote.base import Remote
from cloudtrain.remote.local import LocalRemote
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.testing.remote_contract import RemoteContract


class TestLocalRemote(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path_factory: pytest.TempPathFactory) -> Remote:
        folder = tmp_path_factory.mktemp("machine")
        return LocalRemote(folder / "home", folder / "cache")


class TestMemoryRemote(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path_factory: pytest.TempPathFactory) -> Remote:
        return MemoryRemote(tmp_path_factory.mktemp("machine") / "home")


class TestSshRemoteToOpenSsh(RemoteContract):
    @pytest.fixture
    def remote(self, openssh_line: SshRemote) -> Iterator[Remote]:
        yield openssh_line
        empty(Path(openssh_line.home))


@pytest.mark.thorough
class TestSshRemoteToAsyncssh(RemoteContract):
    @pytest.fixture
    def remote(self, asyncssh_line: SshRemote) -> Iterator[Remote]:
        yield asyncssh_line
        empty(Path(asyncssh_line.home))


class TestParamikoToOpenSsh(RemoteContract):
    @pytest.fixture
    def remote(self, paramiko_line: SshRemote) -> Iterator[Remote]:
        yield paramiko_line
        empty(Path(paramiko_line.home))


@pytest.mark.thorough
class TestParamikoToAsyncssh(RemoteContract):
    @pytest.fixture
    def remote(self, paramiko_to_asyncssh: SshRemote) -> Iterator[Remote]:
        yield paramiko_to_asyncssh
        empty(Path(paramiko_to_asyncssh.home))


def empty(home: Path) -> None:
    for path in home.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
