"""The law for what travels over a `Remote`: trees there and back, whole or not at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ..model.errors import RemoteFileError, TransferError
from ..remote.base import Remote
from ..remote.entry_there import Entry
from ..remote.fileset import gather

Tree = dict[str, tuple[str, object]]


def names(folder: Path) -> list[str]:
    """Return what a folder holds, hidden files and all."""
    return sorted(path.name for path in folder.iterdir())


def snapshot(root: Path) -> Tree:
    """Return what stands below a folder: content, mode and time of files, targets of links, modes of folders."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        name = str(path.relative_to(root))
        if stat.S_ISLNK(info.st_mode):
            found[name] = ("link", str(path.readlink()))
        elif stat.S_ISDIR(info.st_mode):
            found[name] = ("folder", stat.S_IMODE(info.st_mode))
        else:
            found[name] = ("file", (path.read_bytes(), stat.S_IMODE(info.st_mode), info.st_mtime_ns))
    return found


def plant(root: Path) -> Path:
    """Make a tree with everything in it that travels badly."""
    (root / "a folder" / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "plain.txt").write_bytes(b"content\n")
    (root / "nothing").write_bytes(b"")
    (root / "large.bin").write_bytes(bytes(range(256)) * 10_000)
    (root / "a folder" / 'it\'s a "file"').write_bytes(b"1")
    (root / "a folder" / "line\nbreak").write_bytes(b"2")
    (root / "a folder" / "-rf *").write_bytes(b"3")
    (root / "a folder" / "deep" / "é 漢 🎉").write_bytes(b"4")
    (root / os.fsdecode(b"not \xff text")).write_bytes(b"5")
    (root / ("long" * 60)).write_bytes(b"6")
    (root / "a folder" / "deep" / "er" / ("n" * 200)).write_bytes(b"7")
    (root / "run.sh").write_bytes(b"#!/bin/sh\necho it runs\n")
    (root / "run.sh").chmod(0o755)
    (root / "secret").write_bytes(b"8")
    (root / "secret").chmod(0o400)
    os.utime(root / "plain.txt", ns=(1_500_000_000_123_456_789, 1_500_000_000_123_456_789))
    os.utime(root / "nothing", ns=(-5_500_000_000, -5_500_000_000))
    (root / "link").symlink_to("plain.txt")
    (root / "a folder" / "up").symlink_to("../run.sh")
    (root / "to a folder").symlink_to("a folder")
    (root / "dangling").symlink_to("absent")
    return root


class RemoteFilesContract:
    """What push and pull promise."""

    def test_a_tree_goes_there_and_comes_back_as_it_was(self, remote: Remote, tmp_path: Path) -> None:
        planted = plant(tmp_path / "planted")
        remote.push(gather(planted, ["."]), remote.home / "work")
        remote.pull(remote.home / "work", tmp_path / "back")
        assert snapshot(tmp_path / "back") == snapshot(planted)

    def test_what_was_pushed_can_be_run(self, remote: Remote, tmp_path: Path) -> None:
        remote.push(gather(plant(tmp_path / "planted"), ["run.sh"]), remote.home / "work")
        assert remote.run([str(remote.home / "work" / "run.sh")]).stdout == b"it runs\n"
        assert remote.run(["ls", "work"]).stdout == b"run.sh\n"

    def test_pushing_again_replaces_what_is_there_and_leaves_the_rest(self, remote: Remote, tmp_path: Path) -> None:
        planted = plant(tmp_path / "planted")
        remote.push(gather(planted, ["."]), remote.home / "work")
        remote.write(remote.home / "work" / "results" / "kept", b"kept")
        (planted / "plain.txt").write_bytes(b"shorter")
        (planted / "link").unlink()
        (planted / "link").write_bytes(b"a file now")
        (planted / "empty").rmdir()
        (planted / "empty").symlink_to("run.sh")
        remote.push(gather(planted, ["."]), remote.home / "work")
        remote.pull(remote.home / "work", tmp_path / "back")
        after = snapshot(tmp_path / "back")
        assert after.pop("results/kept")[0] == "file"
        assert after.pop("results")[0] == "folder"
        assert after == snapshot(planted)

    def test_a_push_does_not_write_through_a_link_it_finds(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "elsewhere" / "file", b"untouched")
        remote.run(["mkdir", "work"])
        remote.run(["ln", "-s", "../elsewhere", "work/data"])
        (tmp_path / "planted" / "data").mkdir(parents=True)
        (tmp_path / "planted" / "data" / "file").write_bytes(b"new")
        remote.push(gather(tmp_path / "planted", ["."]), remote.home / "work")
        assert remote.read(remote.home / "work" / "data" / "file") == b"new"
        assert remote.read(remote.home / "elsewhere" / "file") == b"untouched"

    def test_nothing_to_push_is_a_folder_all_the_same(self, remote: Remote, tmp_path: Path) -> None:
        remote.push(gather(tmp_path, ["."]), remote.home / "work")
        assert remote.run(["ls", "-A", "work"]).stdout == b""

    def test_bytes_are_counted_on_the_way_there(self, remote: Remote, tmp_path: Path) -> None:
        files = gather(plant(tmp_path / "planted"), ["."])
        told: list[tuple[int, int]] = []
        remote.push(files, remote.home / "work", lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1] == (files.total_bytes, files.total_bytes)

    def test_bytes_are_counted_on_the_way_back(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "results" / "a", bytes(3_000_000))
        remote.write(remote.home / "results" / "b", bytes(5))
        told: list[tuple[int, int]] = []
        remote.pull(remote.home / "results", tmp_path / "back", lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1] == (3_000_005, 3_000_005)

    def test_a_file_gone_since_it_was_counted_is_no_success(self, remote: Remote, tmp_path: Path) -> None:
        planted = plant(tmp_path / "planted")
        files = gather(planted, ["."])
        (planted / "plain.txt").unlink()
        with pytest.raises(TransferError, match=r"plain\.txt"):
            remote.push(files, remote.home / "work")

    def test_a_destination_that_cannot_be_is_no_success(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "file", b"")
        with pytest.raises(TransferError):
            remote.push(gather(plant(tmp_path / "planted"), ["."]), remote.home / "file" / "below")

    def test_a_file_comes_as_a_file(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "model.bin", b"weights", mode=0o640)
        remote.pull(remote.home / "model.bin", tmp_path / "new" / "folder" / "model")
        assert (tmp_path / "new" / "folder" / "model").read_bytes() == b"weights"
        assert stat.S_IMODE((tmp_path / "new" / "folder" / "model").stat().st_mode) == 0o640
        assert names(tmp_path / "new" / "folder") == ["model"]

    def test_a_folders_mode_and_time_come_with_it(self, remote: Remote, tmp_path: Path) -> None:
        script = (
            "mkdir -p results/inner && touch results/inner/x && chmod 750 results/inner && touch -d @1500000000 results/inner"
        )
        assert remote.run(["sh", "-c", script]).exit_code == 0
        remote.pull(remote.home / "results", tmp_path / "back")
        info = (tmp_path / "back" / "inner").stat()
        assert (stat.S_IMODE(info.st_mode), info.st_mtime) == (0o750, 1_500_000_000)

    @pytest.mark.parametrize("kind", ["file", "folder", "link"])
    def test_a_pull_never_overwrites(self, remote: Remote, tmp_path: Path, kind: str) -> None:
        remote.write(remote.home / "results" / "a", b"new")
        here = tmp_path / "back"
        occupy: dict[str, Callable[[], object]] = {
            "file": lambda: here.write_bytes(b"old"),
            "folder": here.mkdir,
            "link": lambda: here.symlink_to("x"),
        }
        occupy[kind]()
        with pytest.raises(TransferError, match="exists"):
            remote.pull(remote.home / "results", here)
        assert names(tmp_path) == ["back"]
        assert kind != "file" or here.read_bytes() == b"old"
        assert kind != "folder" or names(here) == []

    def test_what_is_not_there_cannot_be_pulled(self, remote: Remote, tmp_path: Path) -> None:
        with pytest.raises(RemoteFileError):
            remote.pull(remote.home / "absent", tmp_path / "back")
        assert names(tmp_path) == []

    @pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "inner/../../outside"])
    def test_a_link_that_leaves_stays_behind_and_all_else_comes(self, remote: Remote, tmp_path: Path, target: str) -> None:
        assert remote.run(["mkdir", "-p", "results/inner"]).exit_code == 0
        remote.write(remote.home / "results" / "a", b"new")
        remote.write(remote.home / "outside", b"outside")
        assert remote.run(["ln", "-s", target, "results/link"]).exit_code == 0
        assert remote.pull(remote.home / "results", tmp_path / "back") == ("link",)
        assert names(tmp_path) == ["back"]
        assert set(snapshot(tmp_path / "back")) == {"a", "inner"}
        assert (tmp_path / "back" / "a").read_bytes() == b"new"

    def test_when_all_comes_nothing_is_told_to_be_left(self, remote: Remote, tmp_path: Path) -> None:
        remote.push(gather(plant(tmp_path / "planted"), ["."]), remote.home / "work")
        assert remote.pull(remote.home / "work", tmp_path / "back") == ()

    def test_a_name_that_stays_behind_is_told_from_the_source_on(self, remote: Remote, tmp_path: Path) -> None:
        script = "mkdir -p results/in/ner && cd results/in/ner && mkfifo 'a pipe' $(printf 'b\\033') && echo x > kept"
        assert remote.run(["sh", "-c", script]).exit_code == 0
        assert remote.pull(remote.home / "results", tmp_path / "back") == ("in/ner/a pipe", "'in/ner/b\\x1b'")
        assert names(tmp_path / "back" / "in" / "ner") == ["kept"]

    def test_a_file_that_grows_meanwhile_comes_as_long_as_it_was(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "results" / "a", b"first")
        remote.write(remote.home / "results" / "log", b"line\n" * 1_000)
        grown: list[int] = []

        def grow(done: int, total: int) -> None:
            if not grown:
                grown.append(remote.run(["sh", "-c", "echo more >> results/log"]).exit_code)

        assert remote.pull(remote.home / "results", tmp_path / "back", grow) == ()
        assert grown == [0]
        # It grew before it was weighed or after: what came is the file at one of the two moments, whole.
        whole = b"line\n" * 1_000
        assert (tmp_path / "back" / "log").read_bytes() in (whole, whole + b"more\n")

    @pytest.mark.parametrize("make", ["mkfifo {0}", "ln -s {0} {0}"])
    def test_a_source_that_cannot_travel_at_all_is_no_success(self, remote: Remote, tmp_path: Path, make: str) -> None:
        assert remote.run(["sh", "-c", make.format("results")]).exit_code == 0
        with pytest.raises((TransferError, RemoteFileError)):
            remote.pull(remote.home / "results", tmp_path / "back")
        assert names(tmp_path) == []

    def test_an_absolute_link_inside_comes_as_a_relative_one(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "results" / "runs" / "1", b"first")
        remote.run(["ln", "-s", str(remote.home / "results" / "runs" / "1"), "results/latest"])
        remote.pull(remote.home / "results", tmp_path / "back")
        assert str((tmp_path / "back" / "latest").readlink()) == "runs/1"

    def test_special_files_and_special_bits_stay_behind(self, remote: Remote, tmp_path: Path) -> None:
        script = "mkdir results && cd results && mkfifo pipe && echo x > tool && chmod 6755 tool"
        assert remote.run(["sh", "-c", script]).exit_code == 0
        assert remote.pull(remote.home / "results", tmp_path / "back") == ("pipe",)
        assert names(tmp_path / "back") == ["tool"]
        assert stat.S_IMODE((tmp_path / "back" / "tool").stat().st_mode) == 0o755

    def test_a_source_that_is_a_link_is_followed(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "disk" / "a", b"far away")
        remote.run(["ln", "-s", "disk", "results"])
        remote.pull(remote.home / "results", tmp_path / "back")
        assert (tmp_path / "back" / "a").read_bytes() == b"far away"

    def test_the_accounts_own_home_is_a_folder_that_can_be_written_to(self, remote: Remote) -> None:
        done = remote.run(["sh", "-c", 'test -d "$1" && test -w "$1"', "sh", str(remote.account)])
        assert (done.exit_code, remote.account.is_absolute()) == (0, True)

    def test_what_would_come_is_counted_and_weighed(self, remote: Remote) -> None:
        remote.write(remote.home / "work" / "a", b"12345")
        remote.write(remote.home / "work" / "deep" / "b", b"123")
        remote.run(["sh", "-c", "cd work && ln -s a link && mkfifo pipe"])
        assert remote.weigh(remote.home / "work") == (2, 8)
        assert remote.weigh(remote.home / "work" / "a") == (1, 5)
        with pytest.raises(RemoteFileError):
            remote.weigh(remote.home / "absent")

    def test_an_update_brings_what_is_wanted_and_not_there_and_removes_nothing(self, remote: Remote, tmp_path: Path) -> None:
        planted = plant(tmp_path / "planted")
        remote.push(gather(planted, ["."]), remote.home / "work")
        place, seen = tmp_path / "place", list[str]()
        (place / "a folder").mkdir(parents=True)
        (place / "a folder" / "kept").write_bytes(b"kept")

        def wants(entry: Entry) -> bool:
            seen.append(entry.name)
            return entry.name != "large.bin"

        remote.update(remote.home / "work", place, wants)
        after = snapshot(place)
        assert after.pop("a folder/kept")[0] == "file"
        assert after == {name: what for name, what in snapshot(planted).items() if name != "large.bin"}
        assert seen.count("plain.txt") == seen.count("large.bin") == 1
        inode = (place / "plain.txt").stat().st_ino
        remote.write(remote.home / "work" / "nothing", b"something")
        remote.update(remote.home / "work", place, lambda _: True)
        assert (place / "nothing").read_bytes() == b"something"
        assert (place / "large.bin").read_bytes() == (planted / "large.bin").read_bytes()
        assert (place / "plain.txt").stat().st_ino == inode  # what was there did not travel again

    def test_an_update_of_one_file_and_of_nothing(self, remote: Remote, tmp_path: Path) -> None:
        remote.write(remote.home / "model", b"trained")
        remote.update(remote.home / "model", tmp_path / "so far" / "model", lambda _: True)
        assert (tmp_path / "so far" / "model").read_bytes() == b"trained"
        with pytest.raises(RemoteFileError):
            remote.update(remote.home / "absent", tmp_path / "so far" / "absent", lambda _: True)
        assert names(tmp_path / "so far") == ["model"]

    def test_what_a_set_has_not_is_found_and_removed_and_nothing_else(self, remote: Remote, tmp_path: Path) -> None:
        files = gather(plant(tmp_path / "planted"), ["."])
        remote.push(files, remote.home / "work")
        remote.write(remote.home / "outside", b"untouched")
        remote.run(["sh", "-c", "cd work && mkdir -p old/deep && touch old/deep/x && ln -s ../outside 'a folder/out'"])
        others = remote.others(files, remote.home / "work")
        assert sorted(others) == ["a folder/out", "old"]
        remote.remove(others, remote.home / "work")
        remote.pull(remote.home / "work", tmp_path / "back")
        assert snapshot(tmp_path / "back") == snapshot(tmp_path / "planted")
        assert remote.read(remote.home / "outside") == b"untouched"
        assert remote.others(files, remote.home / "absent") == ()
        with pytest.raises(TransferError):
            remote.remove(("../outside",), remote.home / "work")
        assert remote.read(remote.home / "outside") == b"untouched"
