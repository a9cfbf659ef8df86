"""How many streams: told by a made-up line that is as fast as its window, its rate and its losses let it be."""

from collections.abc import Callable

import pytest

from cloudtrain.remote.crew import Crew, Task
from cloudtrain.remote.pace import MOST_STREAMS, Pace, Seen, squeezed_to, standing_by
from cloudtrain.remote.work import Work

MIB = 1 << 20
GIB = 1 << 30


def streams_over(
    total: int,
    rate: Callable[[int, float], float],
    rtt_s: float | None,
    *,
    busy: float = 0.0,
    cores: int = 1,
    idle: float | None = None,
) -> list[int]:
    """Carry so many bytes at `rate(streams, seconds)`; return how many streams there were, tenth of a second by tenth."""
    pace = Pace()
    done, now, streams, busy_s = 0.0, 0.0, 1, 0.0
    seen: list[int] = []
    coming: list[tuple[float, int]] = []
    while done < total and now < 200:
        now += 0.1
        done += rate(streams, now) * 0.1
        busy_s += busy * 0.1 * streams
        wanted = pace.wanted(Seen(now, int(done), max(0, total - int(done)), streams, rtt_s, busy_s, cores, idle=idle))
        if wanted > streams + len(coming):
            coming.append((now + 20 * (rtt_s or 0) + 0.1, wanted))
        if wanted < streams:
            streams, coming = wanted, []
        streams = max([streams, *(count for ready, count in coming if ready <= now)])
        coming = [(ready, count) for ready, count in coming if ready > now]
        seen.append(streams)
    return seen


def line(mbit: float, rtt_s: float) -> Callable[[int, float], float]:
    return lambda streams, now: min(mbit * 1e6 / 8 * 0.93, streams * 1.75 * MIB / rtt_s)


def test_a_long_fast_line_gets_as_many_as_fill_it_early() -> None:
    seen = streams_over(GIB, line(1000, 0.04), 0.04)
    assert set(seen) == {1, 4}
    assert seen.index(4) < 15


def test_a_very_long_one_gets_the_most() -> None:
    assert streams_over(GIB, line(1000, 0.1), 0.1)[-1] == MOST_STREAMS


@pytest.mark.parametrize(("mbit", "rtt_s"), [(200, 0.04), (1000, 0.001), (10_000, 0.0002)])
def test_one_stream_that_fills_the_line_stays_alone(mbit: float, rtt_s: float) -> None:
    assert set(streams_over(GIB, line(mbit, rtt_s), rtt_s)) == {1}


@pytest.mark.parametrize(("mbit", "rtt_s"), [(100, 0.04), (50, 0.1)])
def test_more_are_tried_on_a_line_that_takes_long_and_sent_home_when_they_bring_nothing(mbit: float, rtt_s: float) -> None:
    seen = streams_over(GIB, line(mbit, rtt_s), rtt_s)
    assert seen[-1] == 1
    assert 0 < sum(streams > 1 for streams in seen) < 0.08 * len(seen)


def test_where_no_core_has_time_only_a_full_window_calls_for_more() -> None:
    assert max(streams_over(GIB, line(100, 0.04), 0.04, idle=0.02)) == 1
    assert max(streams_over(GIB, line(100, 0.04), 0.04, idle=0.5)) == 4
    assert max(streams_over(GIB, line(1000, 0.1), 0.1, idle=0.02)) == MOST_STREAMS


def test_near_the_end_nobody_is_called_any_more() -> None:
    pace = Pace()
    for tick in range(20):
        seen = Seen(tick * 0.1, tick * 4 * MIB, 30 * MIB, 1, 0.04)
        wanted = pace.wanted(seen)
    assert pace.is_late(seen)
    assert wanted == 1
    assert not pace.is_late(seen._replace(left=float(GIB)))


def test_a_line_that_loses_packets_from_the_first_moment_on_gets_more() -> None:
    assert streams_over(48 * MIB, lambda streams, now: streams * 1.6e6, 0.04)[-1] >= 6


def test_logins_are_begun_early_where_more_streams_may_be_called() -> None:
    assert standing_by(GIB, None) == 1
    assert standing_by(GIB, 0.001) == 1
    assert standing_by(16 * MIB, 0.04) == 1
    assert standing_by(GIB, 0.02) == 2
    assert standing_by(GIB, 0.04) == 4
    assert standing_by(256 * MIB, 0.1) == MOST_STREAMS
    assert standing_by(GIB, 0.2) == MOST_STREAMS


def test_a_rate_that_sinks_because_less_is_sent_is_no_loss() -> None:
    pace, done = Pace(), 0.0
    for tick in range(100):
        turn = int(tick >= 50)
        done += 0.1 * (9e6 if turn else 20e6)
        left = 40 * MIB if tick < 25 else 30 * MIB  # too little for a trial
        assert pace.wanted(Seen(tick * 0.1, int(done), left, 1, 0.04, turn=turn)) == 1


def test_little_never_gets_more() -> None:
    assert set(streams_over(4 * MIB, line(1000, 0.1), 0.1)) == {1}


def test_without_a_round_trip_measured_nothing_is_guessed() -> None:
    assert set(streams_over(GIB, line(1000, 0.1), None)) == {1}


def test_a_line_that_loses_packets_gets_more_when_it_sinks() -> None:
    def lossy(streams: int, now: float) -> float:
        return 24e6 if now < 1.5 else min(24e6, streams * 5e6)

    assert streams_over(GIB, lossy, 0.04)[-1] >= 4


def test_more_that_brought_nothing_are_the_last() -> None:
    def throttled(streams: int, now: float) -> float:
        return 24e6 if now < 1.5 else 10e6

    seen = streams_over(GIB, throttled, 0.04)
    assert max(seen) == 4
    assert seen[-1] == 1


def test_a_line_that_gets_worse_after_more_brought_nothing_is_tried_again() -> None:
    def worsens(streams: int, now: float) -> float:
        return 24e6 if now < 6 else min(24e6, streams * 5e6)

    seen = streams_over(GIB, worsens, 0.04)
    assert seen[55] == 1
    assert min(seen[120:150]) >= 6


def test_streams_that_a_full_window_called_stay_though_something_else_has_no_time() -> None:
    seen = streams_over(GIB, lambda streams, now: 45e6, 0.04)
    assert seen[-1] == 4


def test_a_window_that_has_become_full_counts_at_once_and_not_when_a_slow_beginning_is_forgotten() -> None:
    def late(streams: int, now: float) -> float:
        return 12e6 if now < 0.9 else streams * 45e6

    assert streams_over(GIB, late, 0.04, idle=0.02).index(4) < 15 + 10  # a login takes nine tenths of a second


def test_what_comes_before_the_first_mebibyte_tells_no_rate() -> None:
    pace = Pace()
    for tick in range(20):
        assert pace.wanted(Seen(tick * 0.1, tick * 1000, float(GIB), 1, 0.04)) == 1
    for tick in range(5):
        wanted = pace.wanted(Seen(2 + tick * 0.1, (1 + 4 * tick) * MIB, float(GIB), 1, 0.04))
    assert wanted == 4


def test_a_slow_beginning_is_helped_soon_where_a_core_has_time() -> None:
    seen = streams_over(GIB, lambda streams, now: streams * 3e6, 0.04, idle=0.5)
    assert seen.index(4) < 25


def test_a_busy_machine_gets_as_many_as_it_has_cores() -> None:
    assert streams_over(GIB, lambda streams, now: streams * 10e6, 0.0005, busy=0.9, cores=2)[-1] == 2
    assert streams_over(GIB, lambda streams, now: streams * 10e6, 0.0005, busy=0.9, cores=64)[-1] == 4
    assert set(streams_over(GIB, lambda streams, now: streams * 10e6, 0.0005, busy=0.3, cores=64)) == {1}


@pytest.mark.parametrize(("carried", "arrived", "share"), [(0, 0, 1.0), (500, 0, 1.0), (46, 100, 0.46), (103, 100, 1.0)])
def test_content_has_that_share_of_its_size_on_the_line(carried: int, arrived: int, share: float) -> None:
    assert squeezed_to(carried, arrived) == share


def test_what_is_left_is_told_as_it_will_be_on_the_line(pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else much that is squeezed to little would look worth a login or a trial that its rate does not repay."""
    told: list[Seen] = []
    with Crew(pipes(), Task(["put", "nowhere"], MIB, lambda _: AssertionError()), Work()) as crew:
        monkeypatch.setattr(crew._pace, "wanted", lambda seen: told.append(seen) or 1)
        monkeypatch.setattr(crew, "_rtt_s", lambda: 0.04)
        stream = crew._members[0][1]
        stream.carried, stream.arrived = 40 * MIB, 100 * MIB
        crew._look_at_pace(200 * MIB)
        assert [(seen.done, seen.left) for seen in told] == [(40 * MIB, 80 * MIB)]
        assert crew._asked_for == 1, "80 MiB are too few for a login, 200 would not be"
