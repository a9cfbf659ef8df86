"""The transfer engine: any tree arrives as it was, nothing travels twice, and a line may break wherever it likes."""

import errno
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.model.errors import HostUnreachableError, TransferError
from cloudtrain.remote import sending, transfer
from cloudtrain.remote.fileset import gather
from cloudtrain.testing.remote_files_contract import names, plant, snapshot
from tests.shares import one_in

MIB = 1 << 20

NAMES = st.binary(min_size=1, max_size=40).map(lambda name: os.fsdecode(name.replace(b"/", b"_").replace(b"\0", b"0")))
SAFE_NAMES = NAMES.filter(lambda name: name not in (".", ".."))


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(
    st.dictionaries(
        SAFE_NAMES, st.tuples(st.binary(max_size=2000), st.integers(0o400, 0o777), st.integers(-(10**18), 10**18)), max_size=5
    ),
    st.dictionaries(SAFE_NAMES, SAFE_NAMES, max_size=3),
    st.sets(SAFE_NAMES, max_size=3),
)
def test_any_tree_goes_and_comes_as_it_was_and_goes_once(pipes, files, links, folders) -> None:
    with TemporaryDirectory() as scratch:
        top = Path(scratch)
        (top / "planted" / "sub").mkdir(parents=True)
        for name, (content, mode, mtime_ns) in files.items():
            for path in (top / "planted" / f"+{name}", top / "planted" / "sub" / f"+{name}"):
                path.write_bytes(content)
                path.chmod(mode)
                os.utime(path, ns=(mtime_ns, mtime_ns))
        for name, target in links.items():
            (top / "planted" / f"-{name}").symlink_to(target)
        for name in folders:
            (top / "planted" / f"={name}").mkdir()
        chosen = gather(top / "planted", ["."])
        transfer.push(pipes(), chosen, str(top / "there"))
        assert transfer.pull(pipes(), str(top / "there"), top / "back") == ()
        assert snapshot(top / "there") == snapshot(top / "planted")
        assert snapshot(top / "back") == snapshot(top / "planted")
        assert shipped(lambda: transfer.push(pipes(), chosen, str(top / "there"))) == []


def shipped(push: Callable[[], object]) -> list[object]:
    """Return what is sent to be written while something is pushed."""
    sent: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        for kind in (sending.Batch, sending.Touch, sending.Told, sending.Compare, sending.Upload):
            patch.setattr(kind, "__init__" if kind is sending.Upload else "ask", lambda item, *_: sent.append(item))
        push()
    return sent


def large(path: Path, size: int, seed: int = 1) -> bytes:
    content = random.Random(seed).randbytes(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


def test_a_large_file_of_odd_length_with_holes_arrives(pipes, tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    with (tmp_path / "planted" / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(40 * MIB)
        file.write(b"end")
    large(tmp_path / "planted" / "odd", 3 * MIB + 17)
    line = pipes()
    transfer.push(line, gather(tmp_path / "planted", ["."]), str(tmp_path / "there"))
    assert pipes.peers[-1].carried < 6 * MIB
    transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back")
    assert pipes.peers[-1].carried < 6 * MIB
    for name in ("sparse", "odd"):
        for place in ("there", "back"):
            assert (tmp_path / place / name).read_bytes() == (tmp_path / "planted" / name).read_bytes()
    assert (tmp_path / "there" / "sparse").stat().st_blocks * 512 < 3 * MIB
    assert (tmp_path / "back" / "sparse").stat().st_blocks * 512 < 3 * MIB
    assert names(tmp_path / "there") == ["odd", "sparse"]


def test_what_was_chosen_a_while_ago_is_looked_at_once_more(pipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "a").write_text("one")
    (here / "b").write_text("two")
    files = gather(here, ["."])
    transfer.push(pipes(), files, str(there))
    (here / "a").write_text("three")
    (here / "b").unlink()
    monkeypatch.setattr("cloudtrain.remote.sending.FRESH_S", -1.0)
    with pytest.raises(TransferError, match="b cannot be read"):
        transfer.push(pipes(), files, str(there))
    assert (there / "a").read_text() == "three"


def test_text_travels_deflated_and_noise_does_not(pipes, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "log").write_bytes(b"epoch 1 loss 0.25 accuracy 0.75\n" * 100_000)
    transfer.push(pipes(), gather(tmp_path / "text", ["."]), str(tmp_path / "there"))
    assert pipes.peers[-1].carried < MIB // 4
    large(tmp_path / "noise" / "x", 3 * MIB)
    transfer.push(pipes(), gather(tmp_path / "noise", ["."]), str(tmp_path / "there"))
    assert 3 * MIB < pipes.peers[-1].carried < 3.01 * MIB


def test_times_cut_off_by_others_cost_a_look_and_no_transfer(pipes, tmp_path: Path) -> None:
    large(tmp_path / "planted" / "a", 2 * MIB)
    large(tmp_path / "planted" / "b", 1000)
    for name in ("a", "b"):
        os.utime(tmp_path / "planted" / name, ns=(1_500_000_000_123_456_789,) * 2)
    files = gather(tmp_path / "planted", ["."])
    transfer.push(pipes(), files, str(tmp_path / "there"))
    for name in ("a", "b"):
        os.utime(tmp_path / "there" / name, ns=(1_500_000_000_000_000_000,) * 2)
    (tmp_path / "there" / "b").chmod(0o600)
    transfer.push(pipes(), files, str(tmp_path / "there"))
    assert pipes.peers[-1].carried < 10_000
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "planted")
    (tmp_path / "there" / "b").write_bytes(bytes(1000))
    os.utime(tmp_path / "there" / "b", ns=(1_500_000_000_000_000_000,) * 2)
    transfer.push(pipes(), files, str(tmp_path / "there"))
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "planted")


@pytest.mark.parametrize("size", [1000, 2 * MIB])
@pytest.mark.parametrize("more", [5, 0])
def test_a_file_that_changed_once_arrives_as_it_is_now(pipes, tmp_path: Path, monkeypatch, size: int, more: int) -> None:
    path = tmp_path / "planted" / "x"
    large(path, size)
    os.utime(path, ns=(1_500_000_000_000_000_000,) * 2)  # else a clock that ticks coarsely might not show the change
    meddle(monkeypatch, [lambda: overwrite(path, size + more, seed=2)])
    transfer.push(pipes(), gather(tmp_path / "planted", ["."]), str(tmp_path / "there"))
    assert (tmp_path / "there" / "x").read_bytes() == path.read_bytes()
    assert path.stat().st_size == size + more
    assert names(tmp_path / "there") == ["x"]


@pytest.mark.parametrize("size", [1000, 2 * MIB])
def test_a_file_that_never_rests_stays_behind_with_its_name_and_all_else_arrives(
    pipes, tmp_path: Path, monkeypatch, size: int
) -> None:
    path = tmp_path / "planted" / "x"
    large(path, size)
    large(tmp_path / "planted" / "y", 10)
    meddle(monkeypatch, [lambda n=n: overwrite(path, size + n, seed=n) for n in range(2, 100)])
    with pytest.raises(TransferError, match="x changed while it was read"):
        transfer.push(pipes(), gather(tmp_path / "planted", ["."]), str(tmp_path / "there"))
    assert names(tmp_path / "there") == ["y"]


def overwrite(path: Path, size: int, seed: int) -> None:
    """Write a longer content over a file, which is at no moment an empty one: as such it would be taken, and rightly."""
    with path.open("r+b") as file:
        file.write(random.Random(seed).randbytes(size))


def meddle(monkeypatch: pytest.MonkeyPatch, deeds: list[Callable[[], object]]) -> None:
    """Do something to a file named x each time after it was read, while nobody else reads it."""
    one_at_a_time = threading.Lock()
    for module in ("upload", "leaving_there"):
        read = __import__(f"cloudtrain.remote.{module}", fromlist=["x"]).pread_all

        def reading(file: int, length: int, offset: int, read=read) -> bytes:
            with one_at_a_time:
                content = read(file, length, offset)
                if deeds and os.readlink(f"/proc/self/fd/{file}").endswith("/x"):
                    deeds.pop(0)()
            return content

        monkeypatch.setattr(f"cloudtrain.remote.{module}.pread_all", reading)


@pytest.mark.parametrize("size", [1000, 2 * MIB])
def test_a_file_written_over_while_it_is_fetched_is_fetched_again_and_one_that_never_rests_stays_there(
    pipes, tmp_path: Path, monkeypatch, size: int
) -> None:
    path = tmp_path / "there" / "x"
    large(path, size)
    deeds = [lambda: large(path, size, seed=2)]
    for module in ("sender_there", "leaving_there"):
        read = __import__(f"cloudtrain.remote.{module}", fromlist=["x"]).pread_all

        def reading(file: int, length: int, offset: int, read=read) -> bytes:
            content = read(file, length, offset)
            if deeds:
                deeds.pop(0)()
            return content

        monkeypatch.setattr(f"cloudtrain.remote.{module}.pread_all", reading)
    assert transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back") == ()
    assert (tmp_path / "back" / "x").read_bytes() == path.read_bytes()
    deeds += [lambda n=n: large(path, size, seed=n) for n in range(3, 50)]
    assert transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "again") == ("x",)
    assert names(tmp_path / "again") == []


def test_a_push_goes_on_inside_a_large_file(pipes, tmp_path: Path) -> None:
    large(tmp_path / "planted" / "x", 12 * MIB)
    files = gather(tmp_path / "planted", ["."])
    with pytest.raises(HostUnreachableError):
        transfer.push(pipes(after=9 * MIB), files, str(tmp_path / "there"))
    assert not (tmp_path / "there" / "x").exists()
    transfer.push(pipes(), files, str(tmp_path / "there"))
    assert pipes.peers[-1].carried < 6 * MIB
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "planted")


def test_what_came_before_is_read_again_before_it_is_believed(pipes, tmp_path: Path) -> None:
    large(tmp_path / "planted" / "x", 6 * MIB)
    files = gather(tmp_path / "planted", ["."])
    with pytest.raises(HostUnreachableError):
        transfer.push(pipes(after=4 * MIB), files, str(tmp_path / "there"))
    (part,) = [path for path in (tmp_path / "there").iterdir() if not path.name.endswith("-journal")]
    with part.open("r+b") as file:
        file.write(b"spoilt")
    transfer.push(pipes(), files, str(tmp_path / "there"))
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "planted")


def test_what_came_earlier_and_is_the_same_does_not_travel_again_and_is_left_as_it_is(pipes, tmp_path: Path) -> None:
    for name, size in (("same", 2 * MIB), ("deep/same", 5000), ("deep/changed", 5000), ("gone", 10), ("deep/mode", 100_000)):
        large(tmp_path / "there" / name, size)
    (tmp_path / "there" / "link").symlink_to("same")
    transfer.update(pipes(), str(tmp_path / "there"), tmp_path / "earlier", lambda _: True)
    (tmp_path / "earlier" / ".arriving-half").write_bytes(b"h")
    before = snapshot(tmp_path / "earlier")
    (tmp_path / "there" / "gone").unlink()
    (tmp_path / "there" / "deep" / "mode").chmod(0o600)
    large(tmp_path / "there" / "deep" / "changed", 5000, seed=2)
    large(tmp_path / "there" / "new", 5000)
    assert transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back", None, tmp_path / "earlier") == ()
    assert snapshot(tmp_path / "back") == snapshot(tmp_path / "there")
    assert snapshot(tmp_path / "earlier") == before
    assert 110_000 < pipes.peers[-1].carried < 130_000
    assert names(tmp_path) == ["back", "earlier", "there"]


def test_a_single_file_that_came_earlier_does_not_travel_again(pipes, tmp_path: Path) -> None:
    content = large(tmp_path / "model", 2 * MIB)
    transfer.update(pipes(), str(tmp_path / "model"), tmp_path / "so-far", lambda _: True)
    transfer.pull(pipes(), str(tmp_path / "model"), tmp_path / "back", None, tmp_path / "so-far")
    assert (tmp_path / "back").read_bytes() == content
    assert pipes.peers[-1].carried < 50_000


@pytest.mark.parametrize("earlier", ["absent", "link"])
def test_without_anything_earlier_all_travels(pipes, tmp_path: Path, earlier: str) -> None:
    large(tmp_path / "there" / "x", 5000)
    (tmp_path / "link").symlink_to("there")
    transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back", None, tmp_path / earlier)
    assert snapshot(tmp_path / "back") == snapshot(tmp_path / "there")


def test_a_pull_goes_on_inside_a_large_file_and_forgets_what_is_gone(pipes, tmp_path: Path) -> None:
    large(tmp_path / "there" / "a", 1000)
    large(tmp_path / "there" / "b" / "c", 1000)
    large(tmp_path / "there" / "x", 12 * MIB)
    with pytest.raises(HostUnreachableError):
        transfer.pull(pipes(after=9 * MIB), str(tmp_path / "there"), tmp_path / "back")
    assert not (tmp_path / "back").exists()
    (tmp_path / "there" / "a").unlink()
    (tmp_path / "there" / "b" / "c").unlink()
    (tmp_path / "there" / "b").rmdir()
    large(tmp_path / "there" / "b", 5)
    transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back")
    assert pipes.peers[-1].carried < 6 * MIB
    assert snapshot(tmp_path / "back") == snapshot(tmp_path / "there")
    assert names(tmp_path) == ["back", "there"]


@pytest.mark.parametrize("size", [1000, 2 * MIB])
def test_a_disk_that_is_full_here_is_not_taken_for_a_broken_line(
    pipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    large(tmp_path / "there" / "x", size)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for place in ("cloudtrain.remote.landing_there.write_all", "os.pwrite"):
        monkeypatch.setattr(place, full)
    with pytest.raises(TransferError, match="No space left"):
        transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back")
    assert names(tmp_path) == ["there"]


def test_a_line_that_falls_silent_is_given_up(pipes, tmp_path: Path) -> None:
    large(tmp_path / "planted" / "x", 3 * MIB)
    with pytest.raises(HostUnreachableError, match="said nothing"):
        transfer.push(
            pipes(after=2 * MIB, stalls=True, patience_s=0.05), gather(tmp_path / "planted", ["."]), str(tmp_path / "there")
        )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = plant(tmp_path_factory.mktemp("planted") / "tree")
    large(root / "x", 2 * MIB + 100)
    for number in range(30):
        large(root / "small" / str(number), 3000, seed=number)
    return root


@pytest.mark.parametrize("seed", one_in(10, range(200)))
def test_a_line_that_breaks_anywhere_leaves_nothing_half_and_the_rest_follows(
    pipes, tree: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    files = gather(tree, ["."])
    wanted = snapshot(tree)
    go = push if seed % 2 else pull
    place = tmp_path / ("there" if seed % 2 else "back")
    for _ in range(20):
        after = chance.choice([chance.randrange(20_000), chance.randrange(6 * MIB)])
        stalls = chance.random() < 0.2
        try:
            go(pipes(after=after, stalls=stalls, patience_s=0.05 if stalls else 20.0), files, tree, place)
            break
        except HostUnreachableError:
            assert_nothing_is_half(place, wanted)
    else:
        go(pipes(), files, tree, place)
    assert snapshot(place) == wanted
    assert names(tmp_path) == [place.name]


def push(line, files, tree: Path, place: Path) -> None:
    transfer.push(line, files, str(place))


def pull(line, files, tree: Path, place: Path) -> None:
    assert transfer.pull(line, str(tree), place) == ()


def assert_nothing_is_half(place: Path, wanted: dict) -> None:
    if place.exists():
        there = {name: state for name, state in snapshot(place).items() if state[0] == "file" and ".arriving-" not in name}
        assert there.items() <= wanted.items()


def test_nothing_is_ever_written_under_its_own_name(pipes, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: set[str] = set()
    for place in ("cloudtrain.remote.landing_there.write_all", "os.pwrite"):
        module, _, function = place.rpartition(".")
        write = getattr(__import__(module, fromlist=["x"]), function)

        def writing(file: int, *rest: object, write=write) -> object:
            written.add(os.readlink(f"/proc/self/fd/{file}").rpartition("/")[2][:10])
            return write(file, *rest)

        monkeypatch.setattr(place, writing)
    transfer.push(pipes(), gather(tree, ["."]), str(tmp_path / "there"))
    transfer.pull(pipes(), str(tree), tmp_path / "back")
    assert written == {".arriving-"}


def test_a_list_longer_than_one_block_is_pulled_and_pushed(pipes, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("cloudtrain.remote.manifest_there._ENTRIES_PER_BLOCK", 7)
    root = plant(tmp_path / "planted")
    transfer.push(pipes(), gather(root, ["."]), str(tmp_path / "there"))
    transfer.pull(pipes(), str(tmp_path / "there"), tmp_path / "back")
    assert snapshot(tmp_path / "back") == snapshot(root)


def test_what_is_left_to_travel_is_not_what_is_there_already(pipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudtrain.remote.manifest_there._ENTRIES_PER_BLOCK", 7)
    for number in range(70):
        large(tmp_path / "planted" / str(number), 10_000, seed=number)
    files = gather(tmp_path / "planted", ["."])
    seen = lefts(monkeypatch)
    transfer.push(pipes(), files, str(tmp_path / "there"))
    assert max(seen) == 700_000
    assert seen[-1] == 0
    large(tmp_path / "there" / "3", 10_001)
    seen.clear()
    transfer.push(pipes(), files, str(tmp_path / "there"))
    assert max(seen[2:]) <= 150_000  # once a block is answered for: one of ten is wanted
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "planted")


def lefts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that grows by what a push thinks is left, each time something there was checked and at the end."""
    seen: list[float] = []
    note, leave = sending.Push.note_check, sending.Push.raise_problems

    def noting(self: sending.Push, size: int, wanted: float) -> None:
        seen.append(self.left(is_vacant=False))
        note(self, size, wanted)

    def leaving(self: sending.Push) -> None:
        seen.append(self.left(is_vacant=False))
        leave(self)

    monkeypatch.setattr(sending.Push, "note_check", noting)
    monkeypatch.setattr(sending.Push, "raise_problems", leaving)
    return seen
