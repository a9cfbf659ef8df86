"""Files to and from a machine that exists, when a person wants them there or here: no job, no run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from .journey import Tools
from .model import words
from .model.errors import ConfigError, NotFoundError, RemoteFileError
from .model.event import Note, Progress, StageEnded, StageStarted, Tell
from .model.instance import Instance
from .pacing import meter, paced
from .preflight import agree_to_upload, file_count
from .reconnecting import persist
from .remote.base import Forwarding, Remote
from .remote.fileset import FileSet, gather, stays_out
from .remote.packed import Found
from .spending import noted
from .stages.collect import bring
from .stages.connect import connect
from .whereabouts import switched_on

T = TypeVar("T")

WORTH_MEASURING_BYTES = 1_000_000
"""A smaller upload says more about the round trips than about the line."""

LOOK_AT_LINE_EVERY_S = 5.0
"""How often a line that forwards a port is looked at; which also keeps it from counting as unused."""

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Carried:
    """What travelled.

    Attributes:
        place: where it stands now: a path on the machine after a push, one here after a pull.
        files, bytes: how much it is, what was there already included.
        left: names that stayed behind.
        removed: names that were removed on the machine.
        aside: where that stands now which stood at `place` before, or None.
    """

    machine: str
    place: str
    files: int
    bytes: int
    left: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    aside: Path | None = None


def push(name: str, source: Path, destination: str, tools: Tools, *, delete: bool = False, sure: bool = False) -> Carried:
    """Bring a file, or what is in a folder, below a folder of the machine; what is there and the same does not travel.

    Ignore files count as in `train`, those between the folder one stands in and `source` too. With `delete`, what the folder
    there has beside that is removed once a person has agreed; what an ignore file here leaves out is not. `sure` asks nothing.

    Raises:
        ConfigError: nobody can be asked, or `delete` would reach too far.
        NotFoundError: there is no such machine, or no `source`.
        HostUnreachableError, TransferError: not everything arrived.
    """
    _refuse_absent(source)
    typed = f"cloudtrain push {name} {source} {destination} {'--delete ' if delete else ''}--yes"
    with _line_to(name, tools) as line:
        there = _there(line.remote, destination)
        found = Found()
        line.persist(lambda _: line.remote.expect_push(there, found))
        files = choose(source, found)
        price = line.instance.full_usd_per_hour
        if not sure:
            agree_to_upload(files, name, price, tools, typed)
        removed = _agreed_removals(files, source, there, line, tools, "" if sure else typed) if delete else ()
        _carry_there(files, there, line, tools, name, price)
        if removed:
            line.persist(lambda _: line.remote.remove(removed, there))
    return Carried(name, str(there), len(files.entries), files.total_bytes, files.skipped, removed)


def pull(name: str, source: str, destination: Path, tools: Tools) -> Carried:
    """Bring a file or a folder of the machine here as `destination`, or into it when that is a folder. Nothing is overwritten.

    Raises:
        ConfigError: `source` has no name to be called here.
        NotFoundError: there is no such machine, or no `source` on it.
        HostUnreachableError, TransferError: it did not come whole; nothing half is left.
    """
    with _line_to(name, tools) as line:
        there = _there(line.remote, source)
        here = _here(there, destination)
        try:
            weight = line.persist(lambda _: line.remote.weigh(there))
        except RemoteFileError as error:
            raise NotFoundError(f"{name} has no {source}", f"Look there: cloudtrain ssh {name} -- ls") from error
        tools.tell(StageStarted("pull", f"{words.files(weight.files)}, {weight.bytes} bytes"))
        began = tools.clock.monotonic()
        tell = paced(tools.tell, tools.clock, weight.files, meter(line.instance.full_usd_per_hour, tools.clock))
        here.parent.mkdir(parents=True, exist_ok=True)
        left, aside = line.persist(
            lambda heard: bring(there, here, line.remote, lambda done, total: heard(Progress("pull", done, total))), tell
        )
        tools.tell(StageEnded("pull", "", tools.clock.monotonic() - began))
    if aside is not None:
        tools.tell(Note(f"What was here before is now {aside}."))
    for stayed in left:
        tools.tell(Note(f"{stayed} stays behind: it is no file of its own, or leads out of {source}.", "warning"))
    return Carried(name, str(here), weight.files, weight.bytes, left, (), aside)


def forward(name: str, here: int, there: int, tools: Tools) -> None:
    """Have a port of this computer lead to one of the machine until somebody interrupts it.

    Raises:
        ConfigError: the machine is a folder of this computer.
        NotFoundError: there is no such machine.
        HostUnreachableError: it does not answer, the port is taken here, or the line broke and did not come back.
    """
    with _line_to(name, tools) as line:
        remote = line.remote
        if not isinstance(remote, Forwarding):
            raise ConfigError(f"{name} is a folder of this computer", f"Its ports are open here: http://127.0.0.1:{there}")
        stands = remote.forward(here, there)
        tools.tell(Note(f"http://127.0.0.1:{here} leads to port {there} of {name}; Ctrl-C ends it."))
        never = threading.Event()
        while not tools.wait(never, LOOK_AT_LINE_EVERY_S):
            if not stands():
                tools.tell(Note(f"The line to {name} broke; connecting again …", "warning"))
                stands = line.persist(lambda _: remote.forward(here, there))
                tools.tell(Note(f"http://127.0.0.1:{here} leads there again."))


def choose(source: Path, found: Found | None = None) -> FileSet:
    """Return what a push of `source` would carry; names are counted from the folder, or from the one the file is in.

    `found` grows meanwhile.

    Raises:
        NotFoundError: there is no `source`.
        TransferError: a link leaves it, or a folder cannot be read.
    """
    _refuse_absent(source)
    source = source.resolve()
    if not source.is_dir():
        return gather(source.parent, [source.name], found)
    files = gather(source, ["."], found)
    here = Path.cwd().resolve()
    if source == here or not source.is_relative_to(here):
        return files
    # What the folder above leaves out of a training stays here, too.
    inside = source.relative_to(here).as_posix()
    above = (entry for entry in gather(here, [inside]).entries if entry.name != inside)
    return files.only(entry._replace(name=entry.name.removeprefix(f"{inside}/")) for entry in above)


def _refuse_absent(source: Path) -> None:
    if not source.exists():
        raise NotFoundError(f"There is no {source} here", "Name a file or a folder.")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line to a machine that exists, and how it is taken up again."""

    instance: Instance
    remote: Remote
    tools: Tools
    let_in: Callable[[], None]

    def persist(self, carry: Callable[[Tell], T], tell: Tell | None = None) -> T:
        """Do what is safe to repeat, as often as the line breaks."""
        return persist(carry, tell or self.tools.tell, self.tools.clock, self.let_in)


@contextmanager
def _line_to(name: str, tools: Tools) -> Iterator[_Line]:
    machine, instance = switched_on(name, tools)
    let_in = tools.let_in(machine, instance)
    remote, _ = connect(instance, tools.open_remote, tools.clock, on_silence=let_in)
    with remote:
        yield _Line(instance, remote, tools, let_in)


def _there(remote: Remote, path: str) -> PurePosixPath:
    """Return a path as a person typed it, on the machine: from the login's home on, unless it is absolute."""
    typed = PurePosixPath(path)
    return remote.account / (typed.relative_to("~") if typed.parts[:1] == ("~",) else typed)


def _here(there: PurePosixPath, destination: Path) -> Path:
    place = destination.expanduser().absolute()
    if not place.is_dir():
        return place
    if there.name in ("", ".."):
        raise ConfigError(f"{there} has no name to be called by in {destination}", "Name a destination that is not there yet.")
    return place / there.name


def _carry_there(
    files: FileSet, there: PurePosixPath, line: _Line, tools: Tools, name: str, usd_per_hour: float | None
) -> None:
    tools.tell(StageStarted("push", f"{file_count(files)}, {files.total_bytes} bytes"))
    began = tools.clock.monotonic()
    tell = paced(tools.tell, tools.clock, len(files.entries), meter(usd_per_hour, tools.clock))
    carried: list[int] = []

    def carry(heard: Tell) -> None:
        def on_bytes(done: int, total: int) -> None:
            carried.append(done)
            del carried[1:-1]
            heard(Progress("push", done, total))

        line.remote.push(files, there, on_bytes)

    line.persist(carry, tell)
    seconds = tools.clock.monotonic() - began
    tools.tell(StageEnded("push", "", seconds))
    # What was there already counts with the first word, and says nothing of the line.
    travelled = carried[-1] - carried[0] if carried else 0
    if travelled >= WORTH_MEASURING_BYTES and seconds > 0:
        with noted(tools.tell):
            tools.ledger.past.note_speed(name, travelled / seconds)


def _agreed_removals(
    files: FileSet, source: Path, there: PurePosixPath, line: _Line, tools: Tools, typed: str
) -> tuple[str, ...]:
    """Return what is to be removed on the machine, once a person has agreed; with nothing to be `typed`, nobody is asked.

    Raises:
        ConfigError: it would be more than a person can mean.
    """
    if not source.is_dir():
        raise ConfigError("--delete goes with a folder: one file says nothing of those beside it", "Leave --delete out.")
    remote = line.remote
    if ".." in there.parts or remote.home.is_relative_to(there) or there.is_relative_to(remote.home / "runs"):
        raise ConfigError(
            f"{there} holds more than what was pushed there", "Give --delete a folder of its own, inside the home."
        )
    others = tuple(name for name in line.persist(lambda _: remote.others(files, there)) if not stays_out(files.root, name))
    if others:
        named = ", ".join(others[:_MOST_NAMED]) + (
            f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        )
        tools.tell(Note(f"Not here, and to be removed from {there}: {named}"))
        if typed:
            tools.must_agree(f"Remove {len(others)} there, with all that is in them?", typed)
    return others
