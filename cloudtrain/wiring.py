"""Tools for real life: this computer's clock, folders, ledger, providers and lines."""

import getpass
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from .clock import SystemClock
from .config.folders import cache_folder, state_folder
from .config.machine import list_machines
from .config.settings import load_settings
from .journey import Interrupt, Tools
from .ledger.ledger import Ledger
from .model.event import Event, Note, Tell
from .model.instance import Endpoint, Instance, InstanceState, SshEndpoint
from .model.offer import Offer
from .model.run import Run
from .model.spec import HostSpec, MachineSpec
from .prices.users_copy import FILE_NAME, known_rows
from .providers.base import ProviderSettings
from .providers.on_host import HostAnswer, RunOnHost
from .providers.registry import open_provider, provider_names
from .remote.base import Remote
from .remote.guest_lines import GuestLines
from .remote.line import open_remote
from .remote.ssh_config import SshConfig

SSH_FOLDER = "ssh"
"""The folder in the state folder that a person's own ssh may include."""


def silence(_event: Event) -> None:
    """Tell nobody."""


def shut_down_on_interrupt(_run: Run) -> Interrupt:
    """Answer Ctrl-C with the choice that costs no more money: results home, machine ended."""
    return Interrupt.SHUT_DOWN


@contextmanager
def open_tools(
    tell: Tell = silence,
    on_interrupt: Callable[[Run], Interrupt] = shut_down_on_interrupt,
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Tools]:
    """Open the ledger and hand out the tools; the ledger is closed afterwards."""
    clock = SystemClock()
    with Ledger.open(state_folder(), clock) as ledger, GuestLines(_control_folder()) as lines:
        ledger.on_machine = _let_ssh_know
        hosts = cache(own_hosts)  # one command reads the configs once
        say = cache(lambda sentence: tell(Note(sentence)))  # and hears of a thing once
        ours = partial(replace, hosts=hosts, say=say, operations=ledger.operations)
        yield Tools(
            ledger=ledger,
            clock=clock,
            tell=tell,
            open_provider=lambda machine: open_provider(machine.provider, ours(provider_settings(machine, lines.ask))),
            open_remote=_open_remote,
            owner=this_owner(),
            provider_names=provider_names(),
            environ=os.environ,
            on_interrupt=on_interrupt,
            uninterrupted=uninterrupted,
            monthly_budget=lambda: load_settings().monthly_budget,
        )


def provider_settings(machine: MachineSpec | None = None, on_host: RunOnHost | None = None) -> ProviderSettings:
    """Return what an adapter is made with on this computer. Without an `on_host`, each question opens a line of its own."""
    return ProviderSettings(state_folder(), SystemClock(), known_prices, machine, on_host or _ask_once, own_hosts)


def own_hosts() -> Sequence[HostSpec]:
    """Return the machines of one's own that the machine configs name, each once; a config that is broken names none."""
    machines, _ = list_machines()
    return tuple({host.name: host for machine in machines for host in machine.hosts}.values())


def known_prices(provider: str) -> Sequence[Offer]:
    """Return the price table's offers of a provider, those of the person's own copy where they are newer."""
    return known_rows(provider, prices_file())


def prices_file() -> Path:
    """Return where the person's own copy of the price table lies."""
    return cache_folder() / FILE_NAME


def this_owner() -> str:
    """Return a name for this person on this computer, fit for a cloud's tag: letters, digits, dashes, at most 60."""
    return re.sub(r"[^a-z0-9]+", "-", f"{getpass.getuser()}-{socket.gethostname()}".lower()).strip("-")[:60]


def _let_ssh_know(name: str, instance: Instance | None) -> None:
    """Keep what lets a person's own ssh reach a machine in step with what is known of it."""
    files = SshConfig(state_folder() / SSH_FOLDER)
    is_on = instance is not None and instance.state in (InstanceState.PENDING, InstanceState.RUNNING)
    with suppress(OSError):  # a courtesy: no machine is kept, lost or billed for it
        if instance is not None and is_on and isinstance(instance.endpoint, SshEndpoint):
            files.write(name, instance.endpoint)
        else:
            files.remove(name)


def _open_remote(endpoint: Endpoint) -> Remote:
    return open_remote(endpoint, cache=cache_folder(), control_folder=_control_folder())


def _ask_once(endpoint: SshEndpoint, arguments: Sequence[str], stdin: bytes) -> HostAnswer:
    with GuestLines(_control_folder()) as lines:
        return lines.ask(endpoint, arguments, stdin)


def _control_folder() -> Path:
    # A control socket's path may not exceed about 100 bytes, so it lives in a short place.
    return Path(tempfile.gettempdir()) / f"cloudtrain-{os.getuid()}"
