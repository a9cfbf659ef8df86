"""Random histories of one machine's life under the real rules and the real arithmetic of clocks, all in this process.

Time is counted in seconds since the lease was first issued. The machine's own clocks are what its keeper is shown: a wall
clock that may be moved, an uptime that begins anew with every boot. The keeper dies and comes back; what it kept on the disk
stays, or is lost with the disk. What must hold is looked at from outside, where the true time is known.
"""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.guest import rules
from cloudtrain.guest.lease import Lease, Mark, parse

HISTORIES = 500
POLL_S = 15
BOOT_S = 20
EPOCH = 1_790_000_000

_EVENTS = st.one_of(
    st.tuples(st.just("reboot"), st.integers(1, 120)),
    st.tuples(st.just("kill"), st.just(0)),
    st.tuples(st.just("wipe"), st.just(0)),
    st.tuples(st.just("full"), st.integers(0, 1)),
    st.tuples(st.just("clock"), st.sampled_from([-(10**9), -7200, -600, -61, 61, 600, 7200]) | st.integers(-4000, 4000)),
    st.tuples(st.just("extend"), st.integers(-1500, 3000)),
    st.tuples(st.just("busy"), st.integers(1, 900)),
    st.tuples(st.just("unknown"), st.integers(1, 900)),
)
_HISTORY = st.lists(st.tuples(st.integers(1, 900), _EVENTS), max_size=10)


@dataclass
class Machine:
    """One machine, seen from outside (true time `t`) and from inside (`wall`, `up`)."""

    lease: Lease
    t: float = 0.0
    clock_error: float = 0.0
    booted_at: float = -BOOT_S
    boots: int = 1
    disk: Mark | None = None
    is_full: bool = False
    mark: Mark | None = None
    memory: rules.Memory = field(default_factory=rules.Memory)
    busy_until: float = 0.0
    unknown_until: float = 0.0
    last_busy: float = 0.0
    last_look: float = 0.0
    latest_promise: float = 0.0
    unseen_s: float = 0.0
    ended: str = ""

    @property
    def was_busy(self) -> bool:
        """The meters account for the whole time since the last look."""
        return max(self.busy_until, self.unknown_until) > self.last_look

    def look(self) -> None:
        seen = rules.Seen(
            f"boot-{self.boots}",
            tuple(mark for mark in (self.mark, self.disk) if mark is not None),
            self.memory,
            "busy" if self.was_busy else "",
        )
        found = rules.decide(EPOCH + self.t + self.clock_error, self.t - self.booted_at, self.lease, seen)
        self.mark, self.memory = found.mark, found.memory
        if not self.is_full:
            self.disk = found.mark
        self.last_look = self.t
        if found.action == rules.END:
            self.ended = found.reason

    def live_until(self, t: float) -> None:
        while not self.ended and self.t < t:
            self.t = min(t, self.t + POLL_S)
            self.last_busy = min(self.t, max(self.busy_until, self.unknown_until))
            self.look()
            self.check()

    def check(self) -> None:
        assert self.t <= self.latest_promise + POLL_S + self.unseen_s, "it lives past its latest deadline"
        if self.ended == "idle":
            assert self.t - self.last_busy >= self.lease.idle_timeout_s, "it was ended as idle while it worked"

    def suffer(self, event: str, value: int) -> None:
        getattr(self, f"_{event}")(value)

    def _reboot(self, off_s: int) -> None:
        was_last_seen = self.last_look
        self.t += off_s
        self.booted_at, self.boots = self.t - BOOT_S, self.boots + 1
        self._kill(0)
        self.look()
        # With a clock that is behind, only looks know how much was left, and nobody looks while a machine is off.
        if self.clock_error < 0 or self.disk is None or self.is_full:
            self.unseen_s += self.t - was_last_seen + BOOT_S

    def _kill(self, _: int) -> None:
        if self.clock_error < 0 and self.is_full:
            self.unseen_s = float("inf")  # memory lost, disk full of what is old, clock wrong: the armed shutdown's turn
        self.mark, self.memory = None, rules.Memory()

    def _wipe(self, _: int) -> None:
        self.disk = None

    def _full(self, is_full: int) -> None:
        self.is_full = bool(is_full)

    def _clock(self, by: int) -> None:
        self.clock_error += by

    def _extend(self, by: int) -> None:
        deadline = self.lease.deadline + by
        issued_at = int(EPOCH + self.t) + 1
        if issued_at > deadline or issued_at <= self.lease.issued_at:
            return
        self.lease = parse({**vars(self.lease), "deadline": deadline, "issued_at": issued_at})
        self.latest_promise = max(self.latest_promise, deadline - EPOCH)
        self.look()  # whoever sets a lease wakes the keeper

    def _busy(self, seconds: int) -> None:
        self.busy_until = self.t + seconds

    def _unknown(self, seconds: int) -> None:
        self.unknown_until = self.t + seconds


def born(lifetime_s: int, idle_timeout_s: int | None) -> Machine:
    lease = Lease(EPOCH + lifetime_s, EPOCH, "poweroff", idle_timeout_s)
    machine = Machine(lease, latest_promise=lifetime_s)
    machine.look()
    return machine


@settings(max_examples=HISTORIES, deadline=None, database=None, derandomize=True)
@given(st.integers(300, 5400), st.none() | st.integers(60, 1800), _HISTORY)
def test_no_history_outlives_its_promise_and_no_work_is_ended_as_idle(lifetime_s, idle_timeout_s, history) -> None:
    machine = born(lifetime_s, idle_timeout_s)
    for after_s, (event, value) in history:
        machine.live_until(machine.t + after_s)
        if machine.ended:
            return
        machine.suffer(event, value)
    machine.live_until(machine.latest_promise + min(machine.unseen_s, 10_000) + 2 * POLL_S)
    assert machine.ended or machine.unseen_s == float("inf")


def test_idle_machine_is_ended_as_soon_as_it_may_be() -> None:
    machine = born(5400, 600)
    machine.suffer("busy", 100)
    machine.live_until(5000)
    assert machine.ended == "idle"
    assert 700 <= machine.t <= 700 + 2 * POLL_S


def test_shorter_lease_counts_at_once() -> None:
    machine = born(5400, None)
    machine.live_until(100)
    machine.suffer("extend", -5000)
    machine.live_until(5400)
    assert 400 <= machine.t <= 400 + POLL_S


def test_clock_that_is_set_back_every_minute_gains_nothing() -> None:
    machine = born(3600, None)
    while not machine.ended:
        machine.live_until(machine.t + 60)
        machine.suffer("clock", -300)
        machine.suffer("kill", 0)
    assert 3600 - POLL_S <= machine.t <= 3600 + POLL_S


def test_a_thousand_looks_take_no_time_away(tmp_path, monkeypatch) -> None:
    from cloudtrain.guest.lease import Place

    place, lease = Place(str(tmp_path), str(tmp_path)), Lease(EPOCH + 10_000, EPOCH, "poweroff")
    for step in range(1, 2000):
        kept = place.read_mark()
        seen = rules.Seen("boot", (kept,) if kept else ())
        decision = rules.decide(EPOCH + step * 3.7, 20.3 + step * 3.7, lease, seen)
        place.write_mark(replace(decision.mark))
    assert 10_000 - step * 3.7 - 2 <= decision.left_s <= 10_000 - step * 3.7
