"""How much one stream takes upon itself: as much as it brings over soon, and nothing that all the others would wait for."""

import pytest

from cloudtrain.model.errors import TransferError
from cloudtrain.remote import stream as streams
from cloudtrain.remote.frames_there import HELLO, PONG, Frame
from cloudtrain.remote.press import Press, Ticket
from cloudtrain.remote.stream import Asked, Stream
from cloudtrain.remote.upload import Chunk
from cloudtrain.remote.wire import Wire
from cloudtrain.remote.work import Work

MIB = 1 << 20


class Clock:
    """Stands in for the module `time` there."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(streams, "time", clock)
    return clock


@pytest.fixture
def stream(clock: Clock) -> Stream:
    stream = Stream(Wire(0, 1, lambda: None), Work(iter(())), Press(clock.monotonic), 16 * MIB, lambda _: TransferError("no"))
    stream.is_called = True
    stream.rtt_s = 0.04
    return stream


def take(stream: Stream, count: int) -> None:
    """Let so many MiB be under way."""
    for _ in range(count):
        stream._under_way.append(Asked(Chunk(None, 0), MIB, Ticket(0, is_squeezed=True), 0.0))  # type: ignore[arg-type]
        stream._weight += MIB


def arrive(stream: Stream, clock: Clock, rate_mib: float, seconds: float) -> None:
    """Let content be answered for at that rate."""
    for _ in range(round(rate_mib * seconds)):
        clock.now += 1 / rate_mib
        stream._allow(clock.now, MIB)


def room(stream: Stream) -> int:
    """Return how many MiB it takes until it has enough."""
    taken = 0
    while stream._is_free():
        take(stream, 1)
        taken += 1
    return taken


def test_at_first_a_little_is_under_way(stream: Stream) -> None:
    assert room(stream) == 4


def test_on_a_fast_line_it_becomes_as_much_as_may_be(stream: Stream, clock: Clock) -> None:
    arrive(stream, clock, 100, 2)
    assert room(stream) == 16


def test_on_a_slow_line_little_waits_for_it_that_others_could_take(stream: Stream, clock: Clock) -> None:
    arrive(stream, clock, 2, 5)
    assert room(stream) == 2


def test_two_are_always_under_way_unless_all_would_wait_for_them(stream: Stream, clock: Clock) -> None:
    arrive(stream, clock, 1, 5)
    stream.horizon_s = 10.0
    assert room(stream) == 2
    stream._under_way.clear()
    stream._weight = 0
    stream.horizon_s = 1.5
    assert room(stream) == 1
    stream._under_way.clear()
    stream._weight = 0
    stream.horizon_s = 0.5
    assert room(stream) == 0
    stream.horizon_s = None  # it is the fastest one: somebody must
    assert room(stream) == 2


def test_what_does_not_arrive_slows_it_down(stream: Stream, clock: Clock) -> None:
    arrive(stream, clock, 10, 3)
    assert stream.rate() == pytest.approx(10 * MIB, rel=0.2)
    clock.now += 60  # nothing is under way: nothing can be said
    assert stream.rate() == pytest.approx(10 * MIB, rel=0.2)
    take(stream, 1)
    assert stream.rate() < MIB


def hear(stream: Stream, kind: int, words: object) -> None:
    stream._measure(Frame(kind, words, b"", b""))


def heard_after(stream: Stream, clock: Clock, seconds: float) -> None:
    """Let a ping that was sent now come back after so long."""
    sent = clock.now
    clock.now += seconds
    hear(stream, PONG, sent)


@pytest.fixture
def quiet(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> Stream:
    """A stream of which nothing was heard yet, on a wire that takes everything."""
    stream.rtt_s = None
    monkeypatch.setattr(stream._wire, "send_if_free", lambda pieces: True)
    return stream


def test_a_ping_with_nothing_in_its_way_tells_the_round_trip_at_once(quiet: Stream, clock: Clock) -> None:
    hear(quiet, HELLO, [4, True])
    assert (quiet.cores, quiet.is_vacant) == (4, True)
    heard_after(quiet, clock, 0.04)
    assert quiet.rtt_s == pytest.approx(0.04)


def test_one_behind_content_is_not_believed_alone(quiet: Stream, clock: Clock) -> None:
    take(quiet, 4)
    hear(quiet, HELLO, [4, False])
    heard_after(quiet, clock, 0.4)
    assert quiet.rtt_s is None
    heard_after(quiet, clock, 0.3)
    assert quiet.rtt_s == pytest.approx(0.3)


@pytest.mark.parametrize("words", [2, None, [], [2], ["2", 1], [True, "yes"], {"cores": 2}])
def test_what_an_agent_says_of_its_machine_may_be_nonsense(quiet: Stream, words: object) -> None:
    hear(quiet, HELLO, words)
    assert (quiet.cores, quiet.is_vacant) == (1, False)
