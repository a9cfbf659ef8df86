"""Each endpoint gets the line that fits it."""

from pathlib import Path, PurePosixPath

from cloudtrain.model.instance import LocalEndpoint, MemoryEndpoint, SshEndpoint
from cloudtrain.remote.line import open_remote
from cloudtrain.remote.local import LocalRemote
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.remote.ssh import SshRemote


def test_an_endpoint_gets_the_line_that_fits_it(tmp_path: Path) -> None:
    local = open_remote(LocalEndpoint(tmp_path / "a"), cache=tmp_path / "cache", control_folder=tmp_path)
    assert isinstance(local, LocalRemote)
    assert (local.home, local.cache) == (PurePosixPath(tmp_path / "a"), PurePosixPath(tmp_path / "cache"))
    memory = open_remote(MemoryEndpoint(tmp_path / "b"), cache=tmp_path / "cache", control_folder=tmp_path)
    assert isinstance(memory, MemoryRemote)
    assert memory.cache == PurePosixPath(tmp_path / "b" / "cache")


def test_opening_an_ssh_line_connects_to_nobody(tmp_path: Path) -> None:
    endpoint = SshEndpoint("no.such.host.invalid", ("ssh-ed25519 AAAA",))
    line = open_remote(endpoint, cache=tmp_path, control_folder=tmp_path / "control")
    assert isinstance(line, SshRemote)
    line.close()
