"""Whether content is squeezed: told by a made-up line and compressor, each as fast as it is said to be."""

from collections.abc import Callable

from cloudtrain.remote.press import Press, Ticket

MIB = 1 << 20
SHRINKS_TO = 0.45


def answer(press: Press, ticket: Ticket, shrinks_to: float = SHRINKS_TO) -> None:
    """Let a MiB be answered for."""
    press.answered(ticket, MIB, int(MIB * shrinks_to) if ticket.is_squeezed else MIB)


def carry(
    total_mib: int,
    line: Callable[[float], float],
    compressor: float | Callable[[float], float],
    *,
    is_here: bool = True,
    shrinks_to: float = SHRINKS_TO,
    streams: int = 1,
    core: float = 1.0,
) -> tuple[float, float, list[bool]]:
    """Carry so much, 1 MiB at a time with two under way; rates are MiB/s and `line` is told the time.

    Return the seconds it took, those that the better of always and never would have taken, and what each MiB was sent like.
    """
    clock = [0.0]
    press = Press(lambda: clock[0])
    press.team(streams)
    tickets: list[Ticket] = []
    sent: list[bool] = []
    always = never = 0.0
    for _ in range(total_mib):
        rate = line(clock[0])
        squeezing = 1 / (compressor(clock[0]) if callable(compressor) else compressor)
        plain, small = 1 / rate, shrinks_to / rate
        tickets.append(press.ask(MIB))
        sent.append(tickets[-1].is_squeezed)
        if sent[-1] and is_here:
            press.squeezed(MIB, squeezing * streams, squeezing * streams * core)
        clock[0] += max(squeezing, small) if sent[-1] else plain
        always, never = always + max(squeezing, small), never + plain
        if len(tickets) == 2:
            answer(press, tickets.pop(0), shrinks_to)
    return clock[0], min(always, never), sent


def test_a_slow_line_is_never_without() -> None:
    _, _, sent = carry(300, lambda now: 10, 70)
    assert all(sent)


def test_a_fast_line_is_soon_without_and_tries_again_seldom() -> None:
    took, best, sent = carry(4000, lambda now: 110, 60)
    assert not all(sent[:100])
    assert sum(sent) < 0.15 * len(sent)
    assert took < 1.08 * best


def test_a_middling_line_with_a_free_core_keeps_squeezing() -> None:
    took, best, sent = carry(2000, lambda now: 40, 80)
    assert sum(sent) > 0.9 * len(sent)
    assert took < 1.05 * best


def test_a_line_that_is_nearly_full_is_asked_by_a_few_alone() -> None:
    took, best, sent = carry(400, lambda now: 25, 50)
    assert 4 <= len(sent) - sum(sent) <= 12
    assert took < 1.02 * best


def test_a_line_that_grew_faster_than_the_compressor_is_not_tried_with_it_again() -> None:
    clock = [0.0]
    press = Press(lambda: clock[0])
    sent: list[bool] = []

    def carry_at(line: float, seconds: float) -> None:
        end = clock[0] + seconds
        while clock[0] < end:
            ticket = press.ask(MIB)
            sent.append(ticket.is_squeezed)
            if ticket.is_squeezed:
                press.squeezed(MIB, 1 / 50, 1 / 50)
            clock[0] += max(1 / 50, SHRINKS_TO / line) if ticket.is_squeezed else 1 / line
            answer(press, ticket)

    carry_at(60, 3)
    assert not press.is_on
    del sent[:]
    press.team(4)
    carry_at(110, 15)
    assert not any(sent)
    carry_at(110, 30)
    assert any(sent)  # cores may have got free


def test_few_that_get_lost_are_waited_for_no_longer() -> None:
    clock = [0.0]
    press = Press(lambda: clock[0])

    def carry_on(*, until_sample: bool) -> list[Ticket]:
        few: list[Ticket] = []
        for _ in range(400):
            ticket = press.ask(MIB)
            clock[0] += 0.02
            if ticket.sample is not None and until_sample:
                few.append(ticket)
                continue
            press.squeezed(MIB, 0.02, 0.02)
            answer(press, ticket)
            if few:
                break
        return few

    lost = carry_on(until_sample=True)
    assert lost
    press.lost(lost)
    assert press.is_on
    assert carry_on(until_sample=True)  # it is tried anew


def test_what_squeezing_does_not_change_is_sent_as_it_is() -> None:
    _, _, sent = carry(2000, lambda now: 110, 110, is_here=False)
    assert not any(sent[-200:])


def test_where_the_other_end_squeezes_a_slow_line_loses_little_by_the_trial() -> None:
    took, best, _ = carry(600, lambda now: 10, 70, is_here=False)
    assert took < 1.08 * best


def test_a_line_that_changes_is_followed() -> None:
    _, _, sent = carry(4000, lambda now: 110 if now < 12 else 12, 60)
    assert not any(sent[600:1000])
    assert all(sent[-100:])


def test_a_core_that_gets_free_is_found_out() -> None:
    _, _, sent = carry(4000, lambda now: 40, lambda now: 20 if now < 12 else 80)
    assert not any(sent[200:300])
    assert sum(sent[-400:]) > 360


def test_a_compressor_without_a_core_is_left_at_once() -> None:
    took, best, sent = carry(200, lambda now: 25, 8, core=0.2)
    assert sum(sent) <= 3
    assert took < 1.1 * best


def test_more_streams_do_not_give_it_a_core() -> None:
    clock = [0.0]
    press = Press(lambda: clock[0])
    press.squeezed(MIB, 0.2, 0.04)
    assert press.is_on  # a moment's wait for a core says little
    press.squeezed(MIB, 0.1, 0.02)
    assert not press.is_on
    press.team(4)
    for _ in range(100):
        ticket = press.ask(MIB)
        clock[0] += 1 / 25
        answer(press, ticket)
    assert not press.is_on


def test_one_that_seemed_faster_at_first_is_compared_once_more_streams_are_there() -> None:
    clock = [0.0]
    press = Press(lambda: clock[0])

    def carry_at(rate: float, seconds: float) -> None:
        end = clock[0] + seconds
        while clock[0] < end:
            ticket = press.ask(MIB)
            if press.is_on:
                press.squeezed(MIB, 0.1, 0.02)
            clock[0] += 1 / (15 if press.is_on else rate)
            answer(press, ticket)

    carry_at(5, 3)  # a line that has hardly begun
    assert press.is_on
    press.team(4)
    carry_at(90, 3)
    assert not press.is_on


def test_a_compressor_without_a_core_is_taken_all_the_same_on_a_slower_line() -> None:
    took, best, sent = carry(200, lambda now: 2, 8, core=0.2)
    assert sum(sent) > 180
    assert took < 1.1 * best


def test_more_streams_are_another_matter() -> None:
    clock = [0.0]
    press = Press(lambda: clock[0])

    def epoch(rate: float, streams: int = 1) -> None:
        turn = press.turn
        while press.turn == turn and clock[0] < 60:
            ticket = press.ask(MIB)
            press.squeezed(MIB, streams / rate, streams / rate)
            clock[0] += 1 / rate
            answer(press, ticket)

    epoch(40)  # squeezed, and the compressor has no time to spare: try it plain
    assert not press.is_on
    epoch(30)  # plain is worse
    assert press.is_on
    pause = clock[0]
    press.team(4)
    epoch(160, 4)
    assert not press.is_on
    assert clock[0] - pause < 2


def test_what_never_arrives_is_waited_for_no_longer() -> None:
    clock = [0.0]
    press = Press(lambda: clock[0])
    lost = [press.ask(MIB) for _ in range(3)]
    turn = press.turn
    while press.turn == turn:
        ticket = press.ask(MIB)
        press.squeezed(MIB, 0.02, 0.02)
        clock[0] += 0.02
        answer(press, ticket)
    press.lost(lost)
    turn = press.turn
    for _ in range(200):
        ticket = press.ask(MIB)
        clock[0] += 0.05
        answer(press, ticket)
    assert press.turn > turn
