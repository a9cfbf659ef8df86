"""Tools for a verb that may spend money or take time: somebody listens, and signals are understood."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from ..journey import Interrupt, Tools
from ..ledger.ledger import Ledger
from ..model.errors import LedgerError
from ..model.run import Run
from ..wiring import open_tools
from .ask import must_agree
from .listener import listening
from .signals import Signals
from .words import humane, moment


@dataclass(frozen=True, slots=True)
class Session:
    """What such a verb works with."""

    tools: Tools
    signals: Signals


@contextmanager
def open_session(*, as_json: bool = False, on_interrupt: str = "shut-down") -> Iterator[Session]:
    """Open the tools with a listener that prints what happens, until the verb is done."""
    signals = Signals(on_interrupt)
    ledgers: list[Ledger] = []

    def decide(run: Run) -> Interrupt:
        listener.settle()
        return signals.decide(run)

    def agreed(question: str, without_asking: str) -> None:
        listener.settle()
        must_agree(humane(question), without_asking)

    with (
        listening(as_json=as_json) as listener,
        signals.listening(),
        open_tools(listener.tell, decide, _with_deadline(signals, ledgers)) as tools,
    ):
        ledgers.append(tools.ledger)
        yield Session(replace(tools, must_agree=agreed), signals)


def _with_deadline(signals: Signals, ledgers: list[Ledger]) -> Callable[[], AbstractContextManager[None]]:
    """Return `uninterrupted` for the tools: it looks up when the machine ends by itself before it begins."""

    @contextmanager
    def uninterrupted() -> Iterator[None]:
        signals.deadline = _deadline(ledgers[0]) if ledgers else ""
        with signals.uninterrupted():
            yield

    return uninterrupted


def _deadline(ledger: Ledger) -> str:
    try:
        last = ledger.last_machine()
    except LedgerError:
        return ""  # Only a courtesy: nothing may keep the machine from being ended.
    return "" if last is None or last.instance is None or last.instance.deadline is None else moment(last.instance.deadline)
