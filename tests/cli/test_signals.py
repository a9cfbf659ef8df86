"""Ctrl-C, a polite kill and a closed window, in real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudtrain.cli.signals import SIGNALS, Signals
from cloudtrain.journey import Interrupt
from cloudtrain.model.errors import ShutdownError
from cloudtrain.model.run import Run

from .terminal import Terminal


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


RUN = Run("20261121-120000-thing-7f3a", "thing", "lab", Path("/nowhere"))

WAITING = """
import os, select, signal, sys
from pathlib import Path
from cloudtrain.cli.signals import Signals
from cloudtrain.model.run import Run
# A plain read may begin just after a signal has come, and never hear of it.
heard, hears = os.pipe()
os.set_blocking(hears, False)
signal.set_wakeup_fd(hears)
signals = Signals(sys.argv[1])
with signals.listening():
    try:
        print("ready", flush=True)
        select.select([heard], [], [])
    except KeyboardInterrupt:
        choice = signals.decide(Run("the-run", "thing", "lab", Path("/nowhere")))
        with open(sys.argv[2], "w") as told:
            print(signals.came.name, choice.value, signals.detached, file=told)
"""


@pytest.mark.parametrize(
    ("number", "policy", "said"),
    [
        (signal.SIGINT, "ask", "SIGINT shut-down False"),  # nobody can be asked here
        (signal.SIGINT, "detach", "SIGINT detach True"),
        (signal.SIGINT, "shut-down", "SIGINT shut-down False"),
        (signal.SIGTERM, "detach", "SIGTERM shut-down False"),
        (signal.SIGHUP, "shut-down", "SIGHUP detach True"),
    ],
)
def test_what_a_signal_means_while_the_job_runs(number: signal.Signals, policy: str, said: str, told: Path) -> None:
    arguments = [sys.executable, "-c", WAITING, policy, str(told)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        process.communicate()
    assert told.read_text() == f"{said}\n"


QUESTION = "the-run runs. [d]etach: the job goes on · [s]hut down: collect results, end the machine [d/s]"


@contextmanager
def asked(told: Path) -> Iterator[Terminal]:
    """A person at a terminal who pressed Ctrl-C and reads the question."""
    with Terminal(["-c", WAITING, "ask", str(told)]) as terminal:
        terminal.read_until("ready\r\n")
        terminal.press("\x03")
        terminal.read_until(QUESTION)
        yield terminal
        terminal.end()


@pytest.mark.parametrize(("keys", "choice"), [("d\n", "detach"), ("S\n", "shut-down"), ("what?\nd\n", "detach")])
def test_a_person_is_asked(keys: str, choice: str, told: Path) -> None:
    with asked(told) as terminal:
        terminal.press(keys)
    assert told.read_text() == f"SIGINT {choice} {choice == 'detach'}\n"


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_impatience_at_the_question_means_shut_down(key: str, told: Path) -> None:
    with asked(told) as terminal:
        terminal.press(key)
    assert told.read_text() == "SIGINT shut-down False\n"


def test_a_window_closed_at_the_question_means_detach(told: Path) -> None:
    with asked(told) as terminal:
        terminal.close_window()
    assert told.read_text() == "SIGHUP detach True\n"


ENDING = """
import os, select, signal, sys
from cloudtrain.cli.signals import Signals
from cloudtrain.model.errors import ShutdownError
heard, hears = os.pipe()
os.set_blocking(hears, False)
signal.set_wakeup_fd(hears)
signals = Signals()
signals.deadline = {deadline!r}
try:
    with signals.listening(), signals.uninterrupted():
        print("ending", flush=True)
        while sys.stdin not in select.select([heard, sys.stdin], [], [])[0]:
            os.read(heard, 9)
    print("ended", flush=True)
except ShutdownError as error:
    print(error.message, int(error.exit_code), flush=True)
"""


def test_an_ending_is_left_at_the_third_signal_only() -> None:
    deadline = "2026-11-21 15:20 UTC"
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING.format(deadline=deadline)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ending\n"
    for number, how in ((signal.SIGINT, "press again twice"), (signal.SIGTERM, "press once more")):
        process.send_signal(number)
        assert process.stderr.readline() == "\n"
        line = f"still ending the machine; leaving now may leave it on the meter until {deadline}; {how} to leave anyway\n"
        assert process.stderr.readline() == line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert out == f"Left while the machine was being ended. It may stay on the meter until {deadline}. 70\n"
    assert err == ""


def test_an_ending_that_ends_forgets_what_came() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING.format(deadline="")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGHUP)
    assert process.stderr.readline() == "\n"
    assert "until its lease ends;" in process.stderr.readline()
    out, _ = process.communicate("\n")
    assert out == "ended\n"


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    signals = Signals()
    with signals.listening():
        during = [signal.getsignal(number) for number in SIGNALS]
        with signals.uninterrupted():
            assert signal.getsignal(signal.SIGINT) not in during
        assert [signal.getsignal(number) for number in SIGNALS] == during
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert during != before


def test_what_a_parent_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().listening():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_sets_no_handlers() -> None:
    import threading

    seen: list[object] = []

    def work() -> None:
        with Signals().listening():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_in_this_process_the_third_signal_raises(capfd: pytest.CaptureFixture[str]) -> None:
    def leave() -> None:
        with Signals().uninterrupted():
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(ShutdownError, match="Left while the machine was being ended"):
        leave()
    assert capfd.readouterr().err.count("still ending the machine") == 2


def test_nobody_at_a_terminal_means_shut_down() -> None:
    signals = Signals()
    signals.came = signal.SIGINT
    assert signals.decide(RUN) is Interrupt.SHUT_DOWN
    assert not signals.detached
