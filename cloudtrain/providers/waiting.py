"""Watching an instance until it is what we want it to be."""

from collections.abc import Collection, Container

from ..model.clock import Clock
from ..model.errors import InstanceNotFoundError, ProviderUnavailableError
from ..model.instance import Instance, InstanceRef, InstanceState
from .base import Provider

POLL_S = 2.0
"""Seconds between two looks: no faster than the clouds advise."""


def wait_until(
    provider: Provider, ref: InstanceRef, wanted: Collection[InstanceState], clock: Clock, timeout_s: float
) -> Instance | None:
    """Look until the instance is in a wanted state; return it as last seen, or None when the cloud knows it no more.

    A cloud that does not answer is asked again: silence proves nothing. The caller looks at the state it gets back,
    which after `timeout_s` seconds may not be a wanted one.

    Raises:
        ProviderUnavailableError: the cloud gave no answer at all until the time was up.
    """
    give_up_at = clock.monotonic() + timeout_s
    while True:
        try:
            instance = provider.get(ref)
        except InstanceNotFoundError:
            return None
        except ProviderUnavailableError:
            if clock.monotonic() >= give_up_at:
                raise
        else:
            if instance.state in wanted or clock.monotonic() >= give_up_at:
                return instance
        clock.sleep(POLL_S)


def look_for(tokens: Container[str], provider: Provider, clock: Clock) -> list[Instance]:
    """Return the machines of some orders, looked for three times within ten seconds: a cloud's lists lag behind its answers.

    Raises:
        ProviderError: the cloud cannot be asked.
    """
    for pause_s in _LOOKS_AFTER_S:
        clock.sleep(pause_s)
        found = [instance for instance in provider.list_owned() if instance.token in tokens]
        if found:
            return found
    return []


_LOOKS_AFTER_S = (0.0, 3.0, 6.0)
