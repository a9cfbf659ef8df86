"""Servers that a whole module shares: a key pair and a login cost more than most of the laws."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.remote.ssh import SshRemote
from cloudtrain.testing.ssh_server import SshServer, asyncssh_server, find_sshd, openssh_server


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if find_sshd() is None:
        pytest.skip("no sshd here: install the package openssh-server")
    with openssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def asyncssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with asyncssh_server(tmp_path_factory.mktemp("asyncssh")) as server:
        yield server


@pytest.fixture(scope="module")
def openssh_line(openssh: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshRemote]:
    with SshRemote(openssh.endpoint, control_folder=tmp_path_factory.mktemp("control")) as line:
        yield line


@pytest.fixture(scope="module")
def asyncssh_line(asyncssh: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshRemote]:
    with SshRemote(asyncssh.endpoint, control_folder=tmp_path_factory.mktemp("control")) as line:
        yield line


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control")
