"""The rules, one look at a time."""

from dataclasses import replace

import pytest

from cloudtrain.guest import rules
from cloudtrain.guest.lease import Lease, mark

EPOCH = 1_790_000_000
LEASE = Lease(EPOCH + 7200, EPOCH, "poweroff", idle_timeout_s=600, stall_timeout_s=300, finish_grace_s=200)


def history(lease: Lease, *looks: tuple[float, rules.Seen]) -> list[tuple[str, str]]:
    """What is decided at each of these looks, each remembering the one before."""
    memory, marks, found = rules.Memory(), (), []
    for up, seen in looks:
        decision = rules.decide(EPOCH + up, up, lease, replace(seen, boot="boot", memory=memory, marks=marks))
        memory, marks = decision.memory, (decision.mark,)
        found.append((decision.action, decision.reason))
    return found


def every_ten_seconds(seconds: int, seen: rules.Seen) -> list[tuple[float, rules.Seen]]:
    return [(float(up), seen) for up in range(0, seconds + 1, 10)]


IDLE = rules.Seen("")
WORKING = rules.Seen("", busy="a job runs", is_running=True)
STALLED = replace(WORKING, is_gpu_quiet=True)
FINISHED = rules.Seen("", busy="processors", has_finished=True)


def test_idle_ends_when_its_time_is_up_and_not_before() -> None:
    found = history(LEASE, *every_ten_seconds(600, IDLE))
    assert set(found[:-1]) == {(rules.WAIT, "")}
    assert found[-1] == (rules.END, "idle")


@pytest.mark.parametrize(
    ("lease", "seen"),
    [
        (replace(LEASE, idle_timeout_s=None), IDLE),
        (LEASE, replace(IDLE, busy="unknown")),
        (replace(LEASE, stall_timeout_s=None), STALLED),
        (LEASE, WORKING),
        (replace(LEASE, finish_grace_s=None), FINISHED),
        (LEASE, replace(FINISHED, is_wanted=True)),
    ],
)
def test_what_is_not_asked_for_or_not_so_ends_nothing(lease: Lease, seen: rules.Seen) -> None:
    assert set(history(lease, *every_ten_seconds(3000, seen))) == {(rules.WAIT, "")}


def test_work_in_between_begins_the_count_anew() -> None:
    looks = every_ten_seconds(600, IDLE)
    looks[30] = (looks[30][0], WORKING)
    assert history(LEASE, *looks)[-1] == (rules.WAIT, "")


def test_time_in_which_nobody_looked_is_no_idle_time() -> None:
    assert history(LEASE, (0.0, IDLE), (700.0, IDLE)) == [(rules.WAIT, "")] * 2


def test_stalled_job_is_asked_to_end() -> None:
    assert history(LEASE, *every_ten_seconds(300, STALLED))[-1] == (rules.ASK, "stalled")


def test_results_wait_their_grace() -> None:
    assert history(LEASE, *every_ten_seconds(190, FINISHED))[-1] == (rules.WAIT, "")
    assert history(LEASE, *every_ten_seconds(200, FINISHED))[-1] == (rules.END, "finished")


def test_stalled_job_s_results_wait_though_no_grace_was_named() -> None:
    lease = replace(LEASE, finish_grace_s=None)
    seen = replace(FINISHED, has_stalled=True)
    assert history(lease, *every_ten_seconds(590, seen))[-1] == (rules.WAIT, "")
    assert history(lease, *every_ten_seconds(600, seen))[-1] == (rules.END, "finished")


def test_jobs_are_asked_two_minutes_before_the_deadline() -> None:
    assert history(LEASE, (7079.0, WORKING)) == [(rules.WAIT, "")]
    assert history(LEASE, (7080.0, WORKING)) == [(rules.ASK, "deadline")]
    assert history(LEASE, (7200.0, WORKING)) == [(rules.END, "deadline")]


def test_new_lease_forgets_what_was_idle() -> None:
    first = rules.decide(EPOCH, 0.0, LEASE, rules.Seen("boot"))
    later = replace(LEASE, issued_at=EPOCH + 1)
    seen = rules.Seen("boot", (first.mark,), replace(first.memory, quiet=-5000.0))
    assert rules.decide(EPOCH + 5, 5.0, LEASE, seen).reason == "idle"
    assert rules.decide(EPOCH + 5, 5.0, later, seen).reason == ""


def test_clock_before_the_lease_counts_from_now() -> None:
    assert mark(LEASE, 5.0, 100.0, "boot").ends_up == 7300.0


def test_clock_set_back_lengthens_nothing_in_this_boot_or_the_next() -> None:
    first = mark(LEASE, EPOCH + 100, 50.0, "one")
    assert mark(LEASE, EPOCH - 9999, 1050.0, "one", [first]).ends_up == first.ends_up
    second = mark(LEASE, EPOCH + 1100, 1050.0, "one", [first])
    assert mark(LEASE, EPOCH - 9999, 7.0, "two", [second]).ends_up == 7.0 + 6100
    assert mark(replace(LEASE, deadline=EPOCH + 9000), EPOCH + 1100, 1050.0, "one", [first]).ends_up == 1050.0 + 7900
