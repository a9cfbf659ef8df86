"""Asking Google about identities and rights: what is denied is named, and what is new is waited for."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ...model.errors import PermissionDeniedError, ProviderError
from .account import Account
from .translate import code_of, is_absent

PROPAGATION_S, PAUSE_S = 90.0, 3.0
"""How long Google's services may not know an account that was just made, and how often they are asked, in seconds."""

_NOT_KNOWN_YET = re.compile(r"service ?account.*(not found|not exist)", re.IGNORECASE | re.DOTALL)
_LEAVE_OUT = "Let whoever administers the project allow it (docs/providers/gcp.md), or leave `checkpoints` out."

T = TypeVar("T")


def asked(
    account: Account,
    method_id: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    or_absent: bool = False,
) -> dict[str, Any]:
    """Ask Google; what is denied is named, with what to do without it. `or_absent`: what is not there is empty.

    Raises:
        PermissionDeniedError: the login may not; ProviderError: any other refusal.
    """
    try:
        return account.rest.call(method_id, method, path, query=query or {}, body=body)
    except PermissionDeniedError as error:
        hint = error.hint if code_of(error) in ("SERVICE_DISABLED", "accessNotConfigured") else _LEAVE_OUT
        raise PermissionDeniedError(f"The service account for the checkpoints: {error.message}", hint) from error.__cause__
    except ProviderError as error:
        if or_absent and is_absent(error):
            return {}
        raise


def again_while(passes: Callable[[ProviderError], bool], ask: Callable[[], T], account: Account) -> T:
    """Ask again while the answer is one that passes, for a minute and a half at most.

    Raises:
        ProviderError: the last answer.
    """
    clock = account.settings.clock
    give_up_at = clock.monotonic() + PROPAGATION_S
    while True:
        try:
            return ask()
        except ProviderError as error:
            if not passes(error) or clock.monotonic() >= give_up_at:
                raise
        clock.sleep(PAUSE_S)


def is_unknown(error: ProviderError) -> bool:
    """Say whether Google refused because it does not know a service account."""
    return _NOT_KNOWN_YET.search(error.message) is not None
