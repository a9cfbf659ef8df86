"""A machine's keys: made once, kept private, forgotten on request."""

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudtrain.model.errors import ProviderError, ProviderUnavailableError
from cloudtrain.providers.keys import KeyShelf

NOW = datetime(2026, 11, 21, 12, 0, 0, 999, tzinfo=UTC)
ODD = ["", "../x", "a/b", "x" * 65, ".hidden", "a b"]


@pytest.fixture
def shelf(tmp_path: Path) -> KeyShelf:
    return KeyShelf(tmp_path / "aws" / "keys")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_ed25519_and_only_their_owner_reads_them(shelf: KeyShelf, tmp_path: Path) -> None:
    keys = shelf.made_for("ct-1", NOW)
    assert keys.authorized_key.startswith("ssh-ed25519 ")
    assert keys.host_public_key.startswith("ssh-ed25519 ")
    assert keys.authorized_key.split()[1] != keys.host_public_key.split()[1]
    assert keys.host_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    folder = tmp_path / "aws" / "keys" / "ct-1"
    assert [mode(path) for path in (folder.parent, folder, folder / "user", folder / "host")] == [0o700, 0o700, 0o600, 0o600]
    assert [path.name for path in folder.parent.iterdir()] == ["ct-1"]


def test_the_public_half_belongs_to_the_private_one(shelf: KeyShelf, tmp_path: Path) -> None:
    keys = shelf.made_for("ct-1", NOW)
    host = keys.identity_file.parent / "host"
    for path, public in ((keys.identity_file, keys.authorized_key), (host, keys.host_public_key)):
        derived = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True, timeout=30)
        assert derived.stdout.split()[:2] == public.split()[:2]


def test_a_repeated_order_has_the_same_keys_and_the_same_moment(shelf: KeyShelf) -> None:
    first = shelf.made_for("ct-1", NOW)
    again = shelf.made_for("ct-1", NOW.replace(hour=13))
    assert again == first
    assert first.issued_at == NOW.replace(microsecond=0)
    assert shelf.keys_of("ct-1") == first
    assert shelf.line_to("ct-1") == (first.identity_file, first.host_public_key)


def test_two_at_once_agree(shelf: KeyShelf) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: shelf.made_for("ct-1", NOW), range(4)))
    assert len({keys.authorized_key for keys in made}) == 1


def test_forgotten_keys_are_gone_and_absent_ones_are_a_success(shelf: KeyShelf) -> None:
    shelf.made_for("ct-1", NOW)
    shelf.forget("ct-1")
    shelf.forget("ct-1")
    assert shelf.keys_of("ct-1") is None
    assert shelf.line_to("ct-1") is None


@pytest.mark.parametrize("token", ODD)
def test_a_token_that_is_none_names_no_folder(shelf: KeyShelf, tmp_path: Path, token: str) -> None:
    (tmp_path / "aws" / "x").mkdir(parents=True)
    with pytest.raises(ProviderError):
        shelf.made_for(token, NOW)
    assert shelf.keys_of(token) is None
    assert shelf.line_to(token) is None
    shelf.forget(token)
    assert (tmp_path / "aws" / "x").exists()


def test_keys_that_others_may_read_are_not_used(shelf: KeyShelf) -> None:
    shelf.made_for("ct-1", NOW).identity_file.chmod(0o644)
    assert shelf.keys_of("ct-1") is None
    with pytest.raises(ProviderUnavailableError, match="changed by somebody else"):
        shelf.made_for("ct-1", NOW)


def test_without_openssh_it_is_named(shelf: KeyShelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderUnavailableError, match="ssh-keygen"):
        shelf.made_for("ct-1", NOW)
    assert list((tmp_path / "aws" / "keys").iterdir()) == []


def test_the_private_key_is_not_shown(shelf: KeyShelf) -> None:
    keys = shelf.made_for("ct-1", NOW)
    assert "PRIVATE" not in repr(keys)
