"""What a file set does not have is found and removed on the machine when somebody asks, and nothing else is."""

import os
from pathlib import Path

import pytest

from cloudtrain.model.errors import TransferError
from cloudtrain.remote import removing, transfer
from cloudtrain.remote.fileset import gather
from cloudtrain.testing.remote_files_contract import plant, snapshot


def test_what_is_not_in_the_set_is_removed_and_the_rest_stays(pipes, tmp_path: Path) -> None:
    files = gather(plant(tmp_path / "planted"), ["."])
    there = tmp_path / "there"
    transfer.push(pipes(), files, str(there))
    wanted = snapshot(there)
    (tmp_path / "outside").write_text("untouched")
    (there / "old" / "deep").mkdir(parents=True)
    (there / "old" / "deep" / "x").write_text("")
    (there / "old!").write_text("")
    (there / "a folder" / "out").symlink_to("../../outside")
    os.mkfifo(there / "pipe")
    assert sorted(removing.others(pipes(), files, str(there))) == ["a folder/out", "old", "old!", "pipe"]
    removing.remove(pipes(), removing.others(pipes(), files, str(there)), str(there))
    assert snapshot(there) == wanted
    assert (tmp_path / "outside").read_text() == "untouched"
    assert removing.others(pipes(), files, str(there)) == ()


def test_where_nothing_is_nothing_is_removed(pipes, tmp_path: Path) -> None:
    assert removing.others(pipes(), gather(tmp_path, ["."]), str(tmp_path / "absent")) == ()


@pytest.mark.parametrize("name", ["../outside", "/outside", "."])
def test_nothing_else_is_removed(pipes, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("")
    (tmp_path / "there").mkdir()
    try:
        removing.remove(pipes(), (name,), str(tmp_path / "there"))
    except TransferError:
        assert name != "."
    assert (tmp_path / "outside").exists()
    assert (tmp_path / "there").exists()
