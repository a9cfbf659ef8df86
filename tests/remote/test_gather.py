"""Which files travel: git's own answer is the law for what is ignored."""

import os
import shutil
import socket
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloudtrain.model.errors import TransferError
from cloudtrain.remote.entry_there import Entry
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.packed import FileEntry, Found, PackedEntries


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(os.fsencode(name))
    return root


def chosen(root: Path, *names: str) -> list[str]:
    return [entry.name for entry in gather(root, names or ["."]).entries]


def test_all_means_all_sorted_and_weighed(tmp_path: Path) -> None:
    files = gather(make(tmp_path, "b/x", "a.txt", "b/a/y", "empty/"), ["."])
    assert files.entries == (
        FileEntry("a.txt", 5),
        FileEntry("b/a/y", 5),
        FileEntry("b/x", 3),
        FileEntry("empty", 0, "folder"),
    )
    assert files.total_bytes == 13
    assert files.root == tmp_path


def test_what_is_found_grows_while_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudtrain.remote.manifest_there._ENTRIES_PER_BLOCK", 3)
    seen: list[int] = []

    class Watched(Found):
        def __setattr__(self, name: str, value: int) -> None:
            seen.append(value)
            super().__setattr__(name, value)

    for number in range(7):
        (tmp_path / str(number)).write_bytes(bytes(10))
    assert gather(tmp_path, ["."], Watched()).total_bytes == 70
    assert seen == [0, 30, 60, 70]


def test_some_names_stay_here_unless_they_are_named(tmp_path: Path) -> None:
    names = [".git/config", "runs/1/out", "a/__pycache__/x.pyc", ".venv/bin/python", "a/.ipynb_checkpoints/n", "a/runs/kept"]
    make(tmp_path, *names)
    assert chosen(tmp_path) == ["a/runs/kept"]
    assert chosen(tmp_path, "runs/1") == ["runs/1", "runs/1/out"]


def test_nested_files_apply_to_their_own_folder(tmp_path: Path) -> None:
    make(tmp_path, "x.log", "a/x.log", "a/b/x.log", "a/b/y.log")
    (tmp_path / "a" / ".gitignore").write_text("*.log\n!/b/y.log\n")
    assert chosen(tmp_path) == ["a/.gitignore", "a/b/y.log", "x.log"]


def test_ours_is_read_after_gits_and_may_re_include(tmp_path: Path) -> None:
    make(tmp_path, "data/big", "notes", "model.bin")
    (tmp_path / ".gitignore").write_text("data/\nmodel.bin\n")
    (tmp_path / ".cloudtrainignore").write_text("!data/\nnotes\n.*\n")
    assert chosen(tmp_path) == ["data/big"]


@pytest.mark.parametrize("line", ["data/", "data", "/data", "data/*", "data/**", "*", "d*/"])
def test_a_name_a_person_wrote_travels_although_it_is_listed(tmp_path: Path, line: str) -> None:
    make(tmp_path, "data/train/x", "data/y.tmp", "data/__pycache__/z")
    (tmp_path / ".gitignore").write_text(f"{line}\n*.tmp\n")
    assert "data/train/x" not in chosen(tmp_path)
    assert chosen(tmp_path, "data/") == ["data", "data/train/x"]
    assert chosen(tmp_path, "data/y.tmp") == ["data/y.tmp"]


def test_a_folder_that_keeps_itself_empty_in_git_travels_full_when_named(tmp_path: Path) -> None:
    make(tmp_path, "data/x")
    (tmp_path / "data" / ".gitignore").write_text("*\n!.gitignore\n")
    assert chosen(tmp_path) == ["data/.gitignore"]
    assert chosen(tmp_path, ".", "data") == ["data", "data/.gitignore", "data/x"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a\0b"])
def test_a_name_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TransferError, match="not inside"):
        gather(tmp_path, [name])


def test_a_name_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="absent"):
        gather(tmp_path, ["absent"])


def test_links_inside_travel_and_links_out_are_named(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "a/x")
    (root / "inside").symlink_to("a/x")
    (root / "absolute").symlink_to(root / "a")
    (root / "dangling").symlink_to("nowhere")
    kinds = {entry.name: entry.kind for entry in gather(root, ["."]).entries}
    assert kinds == {"a/x": "file", "absolute": "link", "dangling": "link", "inside": "link"}
    (root / "a" / "out").symlink_to("../../secret")
    with pytest.raises(TransferError, match=r"a/out") as caught:
        gather(root, ["."])
    assert ".cloudtrainignore" in caught.value.hint
    (root / ".cloudtrainignore").write_text("/a/out\n")
    assert "a/out" not in chosen(root)


def test_a_chain_of_links_that_ends_outside_is_a_link_out(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "a/x")
    (tmp_path / "secret").write_text("")
    (root / ".cloudtrainignore").write_text("/second\n")
    (root / "second").symlink_to("../secret")
    (root / "first").symlink_to("second")
    with pytest.raises(TransferError, match="first"):
        gather(root, ["."])


def test_an_input_behind_a_link_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "store/x")
    (root / "data").symlink_to("store")
    with pytest.raises(TransferError, match="through the link"):
        gather(root, ["data/x"])


def test_what_is_no_data_is_skipped_and_counted(tmp_path: Path) -> None:
    make(tmp_path, "x")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        files = gather(tmp_path, ["."])
    assert [entry.name for entry in files.entries] == ["x"]
    assert files.skipped == ("pipe", "socket")


def test_names_may_hold_anything_a_name_may_hold(tmp_path: Path) -> None:
    odd = ["a\nb", os.fsdecode(b"\xff"), "é", " ", "x\n"]
    make(tmp_path, *odd, "x", "a\nb.log")
    (tmp_path / ".cloudtrainignore").write_text("*.log\n.*\nx\n")
    assert chosen(tmp_path) == sorted(odd)


def test_an_ignore_file_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").symlink_to("\n" * 300)
    with pytest.raises(TransferError, match="cannot be read"):
        gather(tmp_path, ["."])


PARTS = ["a", "b", "c.x", "d", "*", "*.x", "?", "[ab]", "**"]
LINE = st.builds(
    lambda bang, lead, parts, tail: bang + lead + "/".join(parts) + tail,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=2),
    st.sampled_from(["", "", "/", " ", "\r"]),
)
TREE = ["a/b/c.x", "a/b/d", "a/d", "a/c.x", "b/a/d", "b/c.x", "c.x", "d", "a/a/a/d", "a/b/b/c.x", "b/b/a/c.x"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git, the law here, is not installed")
def test_git_would_ignore_the_same(tmp_path: Path) -> None:
    make(tmp_path, *TREE)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    ask = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "--others", "--exclude-standard", "-z"]

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @example(["**/**/**"], [])
    @example(["*.x", "!/a", "!/b/a"], [])
    @example(["data/**", "!**/**/*.x"], ["/**/b"])
    @given(st.lists(LINE, min_size=1, max_size=4), st.lists(LINE, max_size=2))
    def agree(lines: list[str], nested: list[str]) -> None:
        (tmp_path / ".gitignore").write_text("\n".join(lines), newline="")
        (tmp_path / "a" / ".gitignore").write_text("\n".join(nested), newline="")
        said = subprocess.run(ask, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        ours = [entry.name for entry in gather(tmp_path, ["."]).entries if entry.kind == "file"]
        assert ours == sorted(name for name in said.split("\0") if name)

    agree()


def test_the_order_is_that_of_the_names_with_a_folder_s_slash_and_overlapping_choices_count_once(tmp_path: Path) -> None:
    for name in ("a", "b-", "b/x", "b/y/z", "b.c", "c/only"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b0").mkdir()
    expected = ["a", "b-", "b.c", "b/x", "b/y/z", "b0", "c/only"]
    assert chosen(tmp_path) == expected
    assert chosen(tmp_path, "c/only", "b", ".", "b/y", "a") == sorted([*expected, "b", "b/y"], key=slashed)


def slashed(name: str) -> str:
    return f"{name}/" if name in ("b", "b/y", "b0") else name


def test_packed_entries_are_a_sequence_like_any_other() -> None:
    whole = [
        Entry(f"n/{number:05d}\n\udcff é", "file", number << 28, 0o640, number)
        if number % 3
        else Entry(f"n/{number:05d}", "link", 0, 0o777, -number, "to/ö")
        for number in range(5000)
    ]
    plain = [FileEntry(entry.name, entry.size, entry.kind) for entry in whole]
    packed = PackedEntries(iter(whole))
    assert list(packed.whole()) == whole
    assert [part.has_others for part in PackedEntries([Entry("a", "file"), Entry("b", "file")]).blocks] == [False]
    assert all(part.has_others for part in packed.blocks)
    assert sum(part.size for part in packed.blocks) == packed.total_bytes
    assert list(packed) == plain
    assert packed == plain
    assert packed != plain[1:]
    assert (len(packed), packed.total_bytes) == (5000, sum(entry.size for entry in plain))
    assert [packed[place] for place in (0, 2047, 2048, 4999, -1, -5000)] == [plain[p] for p in (0, 2047, 2048, 4999, 4999, 0)]
    assert packed[4090:4100] == plain[4090:4100]
    for place in (5000, -5001):
        with pytest.raises(IndexError):
            packed[place]
    assert list(PackedEntries(())) == []
    assert not PackedEntries(())


@pytest.mark.parametrize("odd", ["time", "size"])
def test_what_no_machine_would_take_is_refused_by_name(tmp_path: Path, odd: str) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    if odd == "time":
        os.utime(tmp_path / "b", ns=(0, 1 << 66))
        if (tmp_path / "b").stat().st_mtime_ns < 1 << 64:
            pytest.skip("this disk knows no such time")
    else:
        try:
            os.truncate(tmp_path / "b", (1 << 42) + 1)
        except OSError:
            pytest.skip("this disk knows no such size")
    with pytest.raises(TransferError, match=f"^b cannot travel: .* {odd}"):
        gather(tmp_path, ["."])


def test_a_set_keeps_what_another_has_too(tmp_path: Path) -> None:
    for name in ("a", "b/x", "b/y", "b0/z", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    files = gather(tmp_path, ["."])
    others = [FileEntry("0"), FileEntry("b/x"), FileEntry("b/xx"), FileEntry("b0/z"), FileEntry("d")]
    assert [entry.name for entry in files.only(others).entries] == ["b/x", "b0/z"]
    assert list(files.only(()).entries) == []


def test_names_take_a_few_bytes_each(tmp_path: Path) -> None:
    for number in range(100):
        folder = tmp_path / f"folder-{number}"
        folder.mkdir()
        (folder / "first").write_bytes(b"")
        for name in range(200):
            os.link(folder / "first", folder / f"a-name-of-usual-length-{name:05d}.png")
    tracemalloc.start()
    try:
        files = gather(tmp_path, ["."])
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(files.entries) == 20_100
    assert kept < 20_100 * 40
    assert most - kept < 2 << 20  # a block in the making
