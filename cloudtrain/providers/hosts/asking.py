"""Asking machines: the guest's answers as ours, and what goes wrong on the line in the contract's words."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime
from typing import TypeVar

from ...model.errors import (
    HostKeyError,
    HostUnreachableError,
    ProviderError,
    ProviderUnavailableError,
    RemoteError,
)
from ...model.instance import SshEndpoint
from ...model.offer import Offer
from ...model.spec import HostSpec
from ..on_host import RunOnHost
from .claim import Claim, claim_in, wish
from .facts import offer_of
from .trust import by_hand, endpoint_of

T = TypeVar("T")

MOST_AT_ONCE = 16
"""How many machines are asked at the same time."""

_LONGEST = 300


class Asking:
    """The line to each machine.

    Every question raises ProviderUnavailableError where the machine does not answer, ProviderError where its answer is no
    good or another machine answers in its place.
    """

    def __init__(self, on_host: RunOnHost) -> None:
        self._on_host = on_host
        self._endpoints: dict[str, SshEndpoint] = {}

    def endpoint(self, host: HostSpec) -> SshEndpoint:
        """Return how a machine is reached."""
        if host.name not in self._endpoints:
            self._endpoints[host.name] = endpoint_of(host)
        return self._endpoints[host.name]

    def offer(self, host: HostSpec, today: date) -> Offer:
        """Return what a machine is made of."""
        return offer_of(host, self._ask(host, ["facts"]), today)

    def claim(self, host: HostSpec) -> Claim | None:
        """Return who has a machine, also when that claim has expired; None when it is free."""
        return claim_in(self._ask(host, ["claim", "show"]))

    def take(self, host: HostSpec, wanted: Claim, now: datetime) -> Claim:
        """Claim a machine that is free, or whose claim has expired; return who has it then."""
        held = claim_in(self._ask(host, ["claim", "take"], wish(wanted, now)))
        if held is None:
            raise ProviderError(f"{host.name} was to be claimed and says that it is free")
        return held

    def move(self, host: HostSpec, wanted: Claim, now: datetime) -> Claim | None:
        """Give a claim, and the jobs under it, the deadline it now has; return who has the machine."""
        return claim_in(self._ask(host, ["claim", "move"], wish(wanted, now)))

    def release(self, host: HostSpec, token: str) -> None:
        """End what runs under a claim and let go of it. Another's claim stays as it is."""
        self._ask(host, ["claim", "release"], {"token": token, "shutdown": host.shutdown})

    def _ask(self, host: HostSpec, arguments: Sequence[str], content: Mapping[str, object] | None = None) -> dict[str, object]:
        with _line_errors_told(host):
            stdin = b"" if content is None else json.dumps(content).encode()
            done = self._on_host(self.endpoint(host), arguments, stdin)
        try:
            answer = json.loads(done.stdout)
        except (ValueError, RecursionError) as error:
            said = _readable(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2])
            raise ProviderError(f"{host.name} answers {' '.join(arguments)!r} with nothing usable", said) from error
        if not isinstance(answer, dict) or "error" in answer or done.exit_code:
            reason = _readable(answer.get("error")) if isinstance(answer, dict) else ""
            raise ProviderError(f"{host.name} refuses {' '.join(arguments)!r}: {reason or f'exit code {done.exit_code}'}")
        return answer


def ask_all(hosts: Sequence[HostSpec], question: Callable[[HostSpec], T]) -> list[tuple[HostSpec, T | ProviderError]]:
    """Ask several machines at the same time; return each one's answer, or why there is none, in the order of `hosts`."""

    def answer(host: HostSpec) -> T | ProviderError:
        try:
            return question(host)
        except ProviderError as error:
            return error

    if not hosts:
        return []
    with ThreadPoolExecutor(min(len(hosts), MOST_AT_ONCE)) as pool:
        return list(zip(hosts, pool.map(answer, hosts), strict=True))


@contextmanager
def _line_errors_told(host: HostSpec) -> Iterator[None]:
    try:
        yield
    except HostUnreachableError as error:
        hint = f"Look whether it is on, and try it by hand: ssh {by_hand(host)}"
        raise ProviderUnavailableError(f"{host.name} does not answer: {error.message}", hint) from error
    except HostKeyError as error:
        raise ProviderError(
            f"{host.name}: {error.message}",
            "If it was set up anew, correct its host_key in the machine config, or your known_hosts file: "
            f"ssh-keygen -R {host.address}",
        ) from error
    except RemoteError as error:
        raise ProviderError(f"{host.name}: {error.message}", error.hint) from error


def _readable(text: object) -> str:
    return "".join(letter for letter in text[:_LONGEST] if letter.isprintable()) if isinstance(text, str) else ""
