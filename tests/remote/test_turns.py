"""One at a time while that is quick, and several where the first one takes long."""

import threading

import pytest

from cloudtrain.remote import turns
from cloudtrain.remote.turns import Turns


def test_one_waits_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE_S", 60.0)
    reading, order, is_in = Turns(), [], threading.Event()

    def second() -> None:
        is_in.set()
        with reading.taken():
            order.append("second")

    with reading.taken():
        thread = threading.Thread(target=second)
        thread.start()
        is_in.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_nobody_waits_long_and_who_did_not_wait_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE_S", 0.0)
    reading = Turns()
    with reading.taken():
        with reading.taken():
            pass
        assert not reading._taken.acquire(blocking=False), "the first one still has its turn"
    assert reading._taken.acquire(blocking=False)


def test_a_turn_is_given_back_when_something_goes_wrong() -> None:
    reading = Turns()
    with pytest.raises(OSError, match="gone"), reading.taken():
        raise OSError("gone")
    assert reading._taken.acquire(blocking=False)
