"""How a machine is reached, and that no host key is ever trusted because it was the first."""

import subprocess
from pathlib import Path

import pytest

from cloudtrain.model.errors import ProviderError, ProviderUnavailableError
from cloudtrain.model.spec import HostSpec
from cloudtrain.providers.hosts import trust
from cloudtrain.providers.hosts.trust import endpoint_of
from cloudtrain.testing.ssh_server import make_key


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("keys")
    return make_key(folder / "one"), make_key(folder / "two")


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def host(known: Path, **settings: object) -> HostSpec:
    options = {"UserKnownHostsFile": str(known), "GlobalKnownHostsFile": "none"} | settings.pop("options", {})
    return HostSpec("gpu1.lab.example", options=options, **settings)


def test_a_pinned_key_is_the_only_one_and_nothing_is_looked_up(keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_ask", lambda *argv: pytest.fail(f"{argv} was run"))
    spec = HostSpec("gpu1", 2222, "me", host_keys=keys, proxy_command="nc %h %p", options={"IdentityFile": "k"})
    end = endpoint_of(spec)
    assert (end.host, end.port, end.user, end.host_keys) == ("gpu1", 2222, "me", keys)
    assert (end.proxy_command, dict(end.options)) == ("nc %h %p", {"IdentityFile": "k"})


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize(
    ("port", "name"), [(None, "gpu1.lab.example"), (22, "gpu1.lab.example"), (2222, "[gpu1.lab.example]:2222")]
)
def test_the_persons_known_hosts_have_its_keys(known: Path, keys, port: int | None, name: str, hashed: bool) -> None:
    known.write_text(f"# mine\nother.example {keys[1]}\n{name},192.0.2.1 {keys[0]} a comment\n")
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
        assert name not in known.read_text()
    end = endpoint_of(host(known, port=port))
    assert (end.host_keys, end.port) == ((keys[0],), port or 22)


def test_all_keys_that_are_known_count_once(known: Path, keys) -> None:
    known.write_text(f"*.lab.example {keys[0]}\ngpu1.lab.example {keys[1]}\ngpu1.lab.example {keys[0]}\n")
    assert endpoint_of(host(known)).host_keys == keys


def test_the_persons_own_settings_name_port_and_key(known: Path, keys) -> None:
    known.write_text(f"the-box {keys[0]}\n")
    end = endpoint_of(host(known, options={"Port": "2200", "HostKeyAlias": "the-box", "HostName": "192.0.2.9"}))
    assert (end.host, end.port, end.host_keys) == ("gpu1.lab.example", 2200, (keys[0],))


@pytest.mark.parametrize(
    "lines",
    ["", "other.example {0}\n", "[gpu1.lab.example]:2222 {0}\n", "@cert-authority *.lab.example {0}\n",
     "gpu1.lab.example {0}\n@revoked * {0}\n"],
)  # fmt: skip
def test_without_a_known_key_nothing_is_sent_and_the_way_out_is_said(known: Path, keys, lines: str) -> None:
    known.write_text(lines.format(*keys))
    with pytest.raises(ProviderError, match="No host key is known") as raised:
        endpoint_of(host(known, user="me"))
    assert "ssh me@gpu1.lab.example\n" in raised.value.hint
    assert "host_key" in raised.value.hint


def test_without_a_known_hosts_file_it_is_the_same(known: Path) -> None:
    with pytest.raises(ProviderError, match="No host key is known"):
        endpoint_of(host(known))


def test_settings_that_ssh_cannot_read_are_told(known: Path) -> None:
    with pytest.raises(ProviderError, match="cannot read its settings"):
        endpoint_of(host(known, options={"NoSuchOption": "x"}))


def test_without_an_ssh_client_that_is_said(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(known.parent))
    with pytest.raises(ProviderUnavailableError, match="no ssh") as raised:
        endpoint_of(host(known))
    assert "openssh" in raised.value.hint


def test_without_an_ssh_client_a_config_that_says_the_key_is_enough(known: Path, keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(known.parent))
    end = endpoint_of(HostSpec("gpu1.lab.example", host_keys=keys))
    assert (end.port, end.host_keys) == (22, keys)
