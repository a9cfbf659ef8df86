"""push and pull: files to and from a machine that exists."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from cloudtrain import carrying, machines, workflow
from cloudtrain.journey import Tools
from cloudtrain.model.errors import ConfigError, HostUnreachableError, NotFoundError
from cloudtrain.model.event import Progress, StageStarted
from cloudtrain.model.instance import MemoryEndpoint
from cloudtrain.pacing import meter, paced
from cloudtrain.preflight import ASK_ABOVE_BYTES
from cloudtrain.reconnecting import LONGEST_PAUSE_S, PATIENCE_S
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.remote.packed import Found

from .conftest import MACHINE, World

NAME = MACHINE.name


@pytest.fixture
def there(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's home; the test stands in a folder with data."""
    instance = machines.start(MACHINE, world.tools)
    assert isinstance(instance.endpoint, MemoryEndpoint)
    desk = world.folder / "desk"
    (desk / "data" / "deep").mkdir(parents=True)
    (desk / "data" / "a.csv").write_text("1,2\n")
    (desk / "data" / "deep" / "b.csv").write_text("3\n")
    monkeypatch.chdir(desk)
    world.events.clear()
    return Path(instance.endpoint.root)


def agreeing(world: World, questions: list[str]) -> Tools:
    return replace(world.tools, must_agree=lambda question, line: questions.extend([question, line]))


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_folders_content_goes_into_the_folder_there_and_its_size_is_said_first(world: World, there: Path) -> None:
    carried = carrying.push(NAME, Path("data"), "~/things/data", world.tools)
    assert tree(there / "things") == ["data/a.csv", "data/deep/b.csv"]
    assert (carried.files, carried.bytes, carried.place) == (2, 6, str(there / "things/data"))
    assert world.events[0] == StageStarted("push", "2 files, 6 bytes")


def test_the_machine_expects_the_files_and_hears_how_much_is_found(
    world: World, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: list[tuple[PurePosixPath, Found | None]] = []
    monkeypatch.setattr(MemoryRemote, "expect_push", lambda self, place, found=None: expected.append((place, found)))
    carrying.push(NAME, Path("data"), "things", world.tools)
    carrying.push(NAME, Path("data/a.csv"), "things", world.tools)
    assert [(str(place), found.bytes if found else None) for place, found in expected] == [
        (str(there / "things"), 6),
        (str(there / "things"), Path("data/a.csv").stat().st_size),
    ]


def test_one_file_goes_into_the_folder_there(world: World, there: Path) -> None:
    carrying.push(NAME, Path("data/a.csv"), "work", world.tools)
    assert tree(there / "work") == ["a.csv"]


def test_what_ignore_files_leave_out_stays_here_as_in_training(world: World, there: Path) -> None:
    Path(".gitignore").write_text("*.tmp\n/data/deep/\n")
    Path("data/.cloudtrainignore").write_text("secret\n")
    Path("data/x.tmp").write_text("")
    Path("data/secret").write_text("")
    carrying.push(NAME, Path("data"), "data", world.tools)
    assert tree(there / "data") == [".cloudtrainignore", "a.csv"]


def test_without_delete_nothing_there_is_removed_and_with_it_what_is_not_here_is(world: World, there: Path) -> None:
    (there / "data" / "old").mkdir(parents=True)
    (there / "data" / "old" / "x").write_text("")
    (there / "data" / "results").write_text("")
    (there / "beside").write_text("")
    Path(".gitignore").write_text("")
    Path("data/.gitignore").write_text("results\n")
    carrying.push(NAME, Path("data"), "data", world.tools)
    assert (there / "data" / "old" / "x").exists()

    questions: list[str] = []
    carried = carrying.push(NAME, Path("data"), "data", agreeing(world, questions), delete=True)
    assert carried.removed == ("old",)
    assert questions == [
        "Remove 1 there, with all that is in them?",
        f"cloudtrain push {NAME} data data --delete --yes",
    ]
    assert tree(there / "data") == [".gitignore", "a.csv", "deep/b.csv", "results"]  # ignored here, so not ours to remove
    assert (there / "beside").exists()


def test_where_nobody_can_be_asked_nothing_is_removed_and_nothing_travels(world: World, there: Path) -> None:
    (there / "data").mkdir()
    (there / "data" / "old").write_text("")
    with pytest.raises(ConfigError, match="nobody to ask"):
        carrying.push(NAME, Path("data"), "data", world.tools, delete=True)
    assert tree(there / "data") == ["old"]
    carrying.push(NAME, Path("data"), "data", world.tools, delete=True, sure=True)
    assert tree(there / "data") == ["a.csv", "deep/b.csv"]


@pytest.mark.parametrize("destination", [".", "~", "", "/", "work/../.."])
def test_delete_never_reaches_the_whole_home(world: World, there: Path, destination: str) -> None:
    (there / "precious").write_text("")
    with pytest.raises(ConfigError, match="holds more"):
        carrying.push(NAME, Path("data"), destination, world.tools, delete=True, sure=True)
    assert (there / "precious").exists()


def test_delete_with_one_file_is_refused(world: World, there: Path) -> None:
    with pytest.raises(ConfigError, match="one file"):
        carrying.push(NAME, Path("data/a.csv"), "work", world.tools, delete=True, sure=True)


def test_a_file_and_a_folder_come_here(world: World, there: Path) -> None:
    (there / "work" / "sub").mkdir(parents=True)
    (there / "work" / "model").write_text("trained")
    carried = carrying.pull(NAME, "work/model", Path(), world.tools)
    assert Path("model").read_text() == "trained"
    assert carried.place == str(Path("model").absolute())
    assert world.events[0] == StageStarted("pull", "1 file, 7 bytes")
    carrying.pull(NAME, "work", Path("new/place"), world.tools)
    assert tree(Path("new")) == ["place/model"]


def test_what_is_here_is_moved_aside_and_never_overwritten(world: World, there: Path) -> None:
    (there / "data").write_text("a file there")
    carried = carrying.pull(NAME, "data", Path(), world.tools)
    assert Path("data").read_text() == "a file there"
    assert carried.aside == Path("data.1").absolute()
    assert tree(Path("data.1")) == ["a.csv", "deep/b.csv"]
    assert f"What was here before is now {carried.aside}." in world.notes


def test_what_is_not_there_is_said_and_leaves_nothing(world: World, there: Path) -> None:
    with pytest.raises(NotFoundError, match="has no absent"):
        carrying.pull(NAME, "absent", Path("x"), world.tools)
    with pytest.raises(NotFoundError, match="no absent here"):
        carrying.push(NAME, Path("absent"), "x", world.tools)
    assert not Path("x").exists()


def huge(path: Path) -> None:
    with path.open("wb") as file:
        os.truncate(file.fileno(), ASK_ABOVE_BYTES + 1)


def test_more_than_ten_gigabytes_ask_with_time_and_money_before_anything_is_rented_or_travels(world: World) -> None:
    job = world.job("true")
    huge(job.folder / "data.bin")
    world.ledger.past.note_speed(NAME, 10_000_000.0)
    questions: list[str] = []

    def refuse(question: str, line: str) -> None:
        questions.extend([question, line])
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        workflow.train(job, MACHINE, replace(world.tools, must_agree=refuse))
    assert questions == [
        f"1 file, {ASK_ABOVE_BYTES + 1} bytes, would travel to {NAME}: 17 minutes at the speed of the last upload there, "
        "$0.03 at the machine's price. Upload them?",
        f"cloudtrain train {NAME} --yes",
    ]
    assert world.ledger.runs() == []
    assert list(world.provider.list_owned()) == []


def test_a_push_of_more_than_ten_gigabytes_asks_too(world: World, there: Path) -> None:
    huge(Path("data/big"))
    with pytest.raises(ConfigError, match=r"every hour of it costs \$0.10. Upload them\? There is nobody to ask") as refusal:
        carrying.push(NAME, Path("data"), "data", world.tools)
    assert refusal.value.hint == f"cloudtrain push {NAME} data data --yes"
    assert not (there / "data").exists()


def test_ten_gigabytes_and_no_more_are_not_asked_for(world: World, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge(Path("data/big"))
    os.truncate("data/big", ASK_ABOVE_BYTES - 6)
    monkeypatch.setattr(MemoryRemote, "push", lambda *_: None)
    assert carrying.push(NAME, Path("data"), "data", world.tools).bytes == ASK_ABOVE_BYTES


def test_progress_says_speed_time_left_and_dollars(world: World) -> None:
    told: list[object] = []
    tell = paced(told.append, world.clock, 7, meter(3.6, world.clock))
    for seconds, done in [(0, 50), (1, 60), (1, 80), (20, 80), (1, 90)]:
        world.clock.sleep(seconds)
        tell(Progress("upload", done, 100))
    assert told == [
        Progress("upload", 50, 100, "bytes", 7, None, None, 0.0),
        Progress("upload", 60, 100, "bytes", 7, 10.0, 4.0, pytest.approx(0.001)),
        Progress("upload", 80, 100, "bytes", 7, 15.0, pytest.approx(20 / 15), pytest.approx(0.002)),
        Progress("upload", 80, 100, "bytes", 7, 0.0, None, pytest.approx(0.022)),
        Progress("upload", 90, 100, "bytes", 7, pytest.approx(10 / 21), pytest.approx(21.0), pytest.approx(0.023)),
    ]


def test_the_upload_of_a_run_says_how_fast_and_how_dear_it_is(world: World) -> None:
    job = world.job("true")
    (job.folder / "data.bin").write_bytes(bytes(3 << 20))

    def time_passes(event: object) -> None:
        if isinstance(event, Progress):
            world.clock.sleep(36)

    world.listeners.append(time_passes)
    workflow.train(job, MACHINE, world.tools)
    last = [event for event in world.events if isinstance(event, Progress) and event.stage == "upload"][-1]
    assert last.files == 1
    assert last.bytes_per_second
    assert last.usd is not None
    assert last.usd >= 0.001


class Ported(MemoryRemote):
    """A pretend machine with ports; its line stands as often as it is said to."""

    def __init__(self, root: Path, stands: list[bool], refuses: int = 0) -> None:
        super().__init__(root)
        self._stands = stands
        self._refuses = refuses
        self.forwarded: list[tuple[int, int]] = []

    def forward(self, here: int, there: int) -> Callable[[], bool]:
        self.forwarded.append((here, there))
        if len(self.forwarded) > 1 and self._refuses:
            self._refuses -= 1
            raise HostUnreachableError("nobody answers")
        return lambda: self._stands.pop(0)


def test_a_forwarding_says_where_it_is_and_comes_back_with_the_line(world: World, there: Path) -> None:
    remote = Ported(there, [True, True, False, True], refuses=2)
    waited: list[float] = []

    def wait(_: object, seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 5  # the person has had enough

    carrying.forward(NAME, 6007, 6006, replace(world.tools, open_remote=lambda _: remote, wait=wait))
    assert remote.forwarded == [(6007, 6006)] * 4
    assert waited == [carrying.LOOK_AT_LINE_EVERY_S] * 5
    assert f"http://127.0.0.1:6007 leads to port 6006 of {NAME}" in world.notes
    assert "http://127.0.0.1:6007 leads there again." in world.notes


def test_a_forwarding_that_does_not_come_back_is_given_up(world: World, there: Path) -> None:
    remote = Ported(there, [False], refuses=10_000)
    tools = replace(world.tools, open_remote=lambda _: remote, wait=lambda *_: False)
    began = world.clock.monotonic()
    with pytest.raises(HostUnreachableError, match="nobody answers"):
        carrying.forward(NAME, 6007, 6006, tools)
    assert 500 < world.clock.monotonic() - began <= PATIENCE_S


def test_a_port_that_is_taken_here_is_told_at_once(world: World, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Ported(there, [])
    monkeypatch.setattr(remote, "forward", lambda *_: (_ for _ in ()).throw(HostUnreachableError("the port is taken")))
    began = world.clock.monotonic()
    with pytest.raises(HostUnreachableError, match="taken"):
        carrying.forward(NAME, 6007, 6006, replace(world.tools, open_remote=lambda _: remote))
    assert world.clock.monotonic() == began


def test_a_push_and_a_pull_over_a_line_that_breaks_go_on_and_say_so(world: World, there: Path) -> None:
    def breaking(remote: MemoryRemote) -> None:
        for operation in ("weigh", "push", "push", "pull", "others", "remove"):
            remote.fail_next(operation, HostUnreachableError("cut"))

    world.on_line.append(breaking)
    (there / "data").mkdir()
    (there / "data" / "old").write_text("")
    carried = carrying.push(NAME, Path("data"), "data", world.tools, delete=True, sure=True)
    assert carried.removed == ("old",)
    assert tree(there / "data") == ["a.csv", "deep/b.csv"]
    carrying.pull(NAME, "data", Path("back"), world.tools)
    assert tree(Path("back")) == ["a.csv", "deep/b.csv"]
    assert world.notes.count("The line broke (cut)") == 6


def test_a_machine_that_stays_away_is_given_up_after_ten_minutes(world: World, there: Path) -> None:
    world.on_line.append(lambda remote: [remote.fail_next("push", HostUnreachableError("away")) for _ in range(999)])
    began = world.clock.monotonic()
    with pytest.raises(HostUnreachableError, match="away"):
        carrying.push(NAME, Path("data"), "data", world.tools)
    assert PATIENCE_S - LONGEST_PAUSE_S <= world.clock.monotonic() - began <= PATIENCE_S
