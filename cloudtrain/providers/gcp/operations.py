"""Google's operations: a request that was accepted may fail later, and says so in the operation and nowhere else."""

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ...model.errors import ProviderUnavailableError
from .account import Account
from .translate import failed

TIMEOUT_S = 600.0
"""How long an operation may take, in seconds; a machine that is not there by then may still come."""

PACE_S = 2.0
"""Google answers a wait when something has happened or two minutes are over; one that comes back at once is asked no faster."""

_OURS = uuid.UUID("6f1a3c52-2f0e-5b8e-9b52-0c6d2a0f7c11")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request Google has accepted.

    Attributes:
        method_id: Google's name of what was asked.
        path: what it was asked of.
        operation: as Google showed it then.
    """

    method_id: str
    path: str
    operation: Mapping[str, Any]


def request_id(*words: str) -> str:
    """Return the id of a request that is known by these words: asked again with it, Google does nothing a second time."""
    return str(uuid.uuid5(_OURS, " ".join(words)))


def asked(
    account: Account,
    method_id: str,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    known_by: str = "",
    query: Mapping[str, str] | None = None,
) -> Accepted:
    """Ask for a change and return what was accepted. `known_by` names a request that may be repeated from another process.

    Raises:
        ProviderError: Google refused, or did not answer.
    """
    id = request_id(known_by, method_id, path) if known_by else str(uuid.uuid4())
    operation = account.rest.call(method_id, method, path, query={**(query or {}), "requestId": id}, body=body)
    return Accepted(method_id, path, operation)


def until_done(accepted: Accepted, account: Account) -> None:
    """Return when an operation has ended well.

    Raises:
        ProviderError: it ended with an error of its own, of the kind the table says; ProviderUnavailableError when it did not
            end in time.
    """
    clock, operation = account.settings.clock, accepted.operation
    give_up_at = clock.monotonic() + TIMEOUT_S
    path = _place(operation, account)
    while operation.get("status") != "DONE":
        began = clock.monotonic()
        if began >= give_up_at:
            raise ProviderUnavailableError(
                f"{accepted.method_id}: Google has accepted it and is not done after {TIMEOUT_S:.0f} s",
                "Look: cloudtrain status",
            )
        kind = "globalOperations" if "/global/" in path else "zoneOperations"
        operation = account.rest.call(f"compute.{kind}.wait", "POST", f"{path}/{operation['name']}/wait")
        if operation.get("status") != "DONE" and clock.monotonic() - began < PACE_S:
            clock.sleep(PACE_S)
    error = failed(accepted.method_id, accepted.path, operation)
    if error is not None:
        raise error


def until_all_done(accepted: Sequence[Accepted], account: Account) -> None:
    """Return when all of them have ended well.

    Raises:
        ProviderError: as `until_done`, of the first that failed; all have been followed then.
    """
    if not accepted:
        return
    with ThreadPoolExecutor(len(accepted)) as pool:
        waiting = [pool.submit(until_done, each, account) for each in accepted]
    for each in waiting:
        each.result()


def _place(operation: Mapping[str, Any], account: Account) -> str:
    zone = str(operation.get("zone", "")).rpartition("/")[2]
    return account.below(f"zones/{zone}/operations" if zone else "global/operations")
