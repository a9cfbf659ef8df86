import os

import pytest

from cloudtrain.guest import local_content
from cloudtrain.guest.local_content import digest


def test_file_counts_with_its_content_alone(tmp_path) -> None:
    file = tmp_path / "a.whl"
    file.write_bytes(b"one")
    first = digest(str(file))
    os.utime(file, (1, 1))
    assert digest(str(file)) == first
    file.write_bytes(b"two")
    assert digest(str(file)) != first


def test_nothing_is_told_from_something(tmp_path) -> None:
    assert digest(str(tmp_path / "gone")) == ""
    assert digest(str(tmp_path)) != ""


@pytest.mark.parametrize("small_bytes", [1 << 20, 0])
def test_folder_changes_with_its_files(tmp_path, monkeypatch, small_bytes) -> None:
    monkeypatch.setattr(local_content, "_SMALL_BYTES", small_bytes)
    file = tmp_path / "pkg" / "a.py"
    file.parent.mkdir()
    file.write_text("x = 1")
    seen = {digest(str(tmp_path))}
    file.write_text("x = 10")
    seen.add(digest(str(tmp_path)))
    file.rename(tmp_path / "pkg" / "b.py")
    seen.add(digest(str(tmp_path)))
    (tmp_path / "c.py").touch()
    seen.add(digest(str(tmp_path)))
    assert len(seen) == 4
    assert digest(str(tmp_path)) in seen


def test_large_folder_is_not_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(local_content, "_SMALL_BYTES", 2)
    (tmp_path / "a").write_text("one")
    os.utime(tmp_path / "a", (1, 1))
    first = digest(str(tmp_path))
    (tmp_path / "a").write_text("two")
    os.utime(tmp_path / "a", (1, 1))
    assert digest(str(tmp_path)) == first
    os.utime(tmp_path / "a", (2, 2))
    assert digest(str(tmp_path)) != first


def test_what_an_installation_leaves_changes_nothing(tmp_path) -> None:
    (tmp_path / "a.py").touch()
    first = digest(str(tmp_path))
    for name in ("a.egg-info", "__pycache__", "build/lib.linux"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "left").touch()
    assert digest(str(tmp_path)) == first
    (tmp_path / "build" / "a.py").touch()
    assert digest(str(tmp_path)) != first


def test_named_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert digest(str(tmp_path)) == digest(str(tmp_path))
