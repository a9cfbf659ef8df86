"""Connect: a line to the machine, its host key pinned, and the guest on the other end."""

from collections.abc import Callable

from ..model.clock import Clock
from ..model.errors import HostUnreachableError
from ..model.instance import Endpoint, Instance, InstanceState
from ..remote.base import Remote
from ..remote.guest import Guest

OpenRemote = Callable[[Endpoint], Remote]

CONNECT_TIMEOUT_S = 300.0
"""How long a running machine may take until it answers, in seconds."""

SILENCE_S = 20.0
"""How long a machine may be silent before the way to it is looked at, in seconds."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0


def connect(
    instance: Instance,
    open_remote: OpenRemote,
    clock: Clock,
    timeout_s: float = CONNECT_TIMEOUT_S,
    on_silence: Callable[[], None] | None = None,
) -> tuple[Remote, Guest]:
    """Open a line and put the guest there; a machine that does not answer yet is asked again.

    `on_silence` is called once, after `SILENCE_S` seconds: the way there may be shut.

    Raises:
        HostUnreachableError: no answer within the time.
        HostKeyError: another machine answered; never asked again.
    """
    if instance.endpoint is None:
        raise _no_way_to(instance)
    began, pause_s = clock.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            return _open(instance.endpoint, open_remote)
        except HostUnreachableError:
            if clock.monotonic() + pause_s > began + timeout_s:
                raise
        if on_silence is not None and clock.monotonic() >= began + SILENCE_S:
            on_silence()
            on_silence = None
        clock.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _open(endpoint: Endpoint, open_remote: OpenRemote) -> tuple[Remote, Guest]:
    remote = open_remote(endpoint)
    try:
        return remote, Guest.install(remote)
    except BaseException:
        remote.close()
        raise


def _no_way_to(instance: Instance) -> HostUnreachableError:
    if instance.state is InstanceState.RUNNING and instance.address:
        return HostUnreachableError(
            f"{instance.name} runs at {instance.address}, and the keys to it are not on this computer",
            f"End it, disk included: cloudtrain terminate {instance.name}",
        )
    if instance.state is InstanceState.PENDING:
        return HostUnreachableError(f"{instance.name} still boots", f"Wait for it: cloudtrain start {instance.name}")
    return HostUnreachableError(
        f"{instance.name} is {instance.state.value} and has no address", f"Switch it on: cloudtrain start {instance.name}"
    )
