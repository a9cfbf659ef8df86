"""A small file is read piece by piece when it is not small."""

from pathlib import Path

import pytest

from cloudtrain.remote import file_there
from cloudtrain.remote.local import LocalRemote


def test_a_file_beyond_the_bound_is_read_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_there, "MOST_BYTES", 4)
    remote = LocalRemote(tmp_path, tmp_path / "cache")
    remote.write(remote.home / "log", b"0123456789")
    pieces: list[bytes] = []
    while not pieces or pieces[-1]:
        pieces.append(remote.read(remote.home / "log", offset=len(b"".join(pieces))))
    assert pieces == [b"0123", b"4567", b"89", b""]


def test_below_the_bound_all_of_it_comes_at_once(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "log").write_bytes(content)
    assert file_there.read(str(tmp_path / "log"), 3) == content[3:]
