"""How many streams: told by a made-up line that is as fast as its window, its rate and its losses let it be."""

from collections.abc import Callable

import pytest

from cloudtrain.remote.pace import MOST_STREAMS, Pace, Seen

MIB = 1 << 20
GIB = 1 << 30


def streams_over(
    total: int, rate: Callable[[int, float], float], rtt_s: float | None, *, busy: float = 0.0, cores: int = 1
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
        wanted = pace.wanted(Seen(now, int(done), max(0, total - int(done)), streams, rtt_s, busy_s, cores))
        if wanted > streams + len(coming):
            coming.append((now + 20 * (rtt_s or 0) + 0.1, wanted))
        streams = max([streams, *(count for ready, count in coming if ready <= now)])
        coming = [(ready, count) for ready, count in coming if ready > now]
        seen.append(streams)
    return seen


def line(mbit: float, rtt_s: float) -> Callable[[int, float], float]:
    return lambda streams, now: min(mbit * 1e6 / 8 * 0.93, streams * 1.75 * MIB / rtt_s)


def test_a_long_fast_line_gets_more_streams_early() -> None:
    seen = streams_over(GIB, line(1000, 0.04), 0.04)
    assert seen[-1] == 4
    assert seen.index(4) < 20


def test_a_very_long_one_gets_the_most() -> None:
    assert streams_over(GIB, line(1000, 0.1), 0.1)[-1] == MOST_STREAMS


@pytest.mark.parametrize(("mbit", "rtt_s"), [(200, 0.04), (50, 0.1), (1000, 0.001), (10_000, 0.0002)])
def test_one_stream_that_fills_the_line_stays_alone(mbit: float, rtt_s: float) -> None:
    assert set(streams_over(GIB, line(mbit, rtt_s), rtt_s)) == {1}


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

    assert max(streams_over(GIB, throttled, 0.04)) == 4


def test_a_busy_machine_gets_as_many_as_it_has_cores() -> None:
    assert streams_over(GIB, lambda streams, now: streams * 10e6, 0.0005, busy=0.9, cores=2)[-1] == 2
    assert streams_over(GIB, lambda streams, now: streams * 10e6, 0.0005, busy=0.9, cores=64)[-1] == 4
    assert set(streams_over(GIB, lambda streams, now: streams * 10e6, 0.0005, busy=0.3, cores=64)) == {1}
