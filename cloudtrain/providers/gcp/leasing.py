"""Moving a machine's deadline in the cloud: its own end there, and its note.

Google moves the end of a stopped machine only ("You can only call this method on a stopped instance", the reference of
instances.setScheduling says). Of one that runs, a deadline can be brought forward: the machine itself keeps the earlier one.
"""

from datetime import datetime

from ...model.errors import ProviderError
from ...model.instance import InstanceRef, InstanceState
from ...model.lease import Lease
from ..written import moment
from . import notes
from .account import Account
from .describe import AHEAD, latest_of
from .machines import Found, find, living
from .operations import asked, until_done
from .translate import status_of


def extend(ref: InstanceRef, lease: Lease, account: Account) -> None:
    """Move the deadline of a machine that is on. See `Provider.extend`."""
    found = living(ref, account)
    if found.state is InstanceState.STOPPED:
        raise ProviderError(f"{found.name} is stopped and has no deadline to move", f"Start it: cloudtrain start {found.name}")
    move(found, lease, account)


def move(found: Found, lease: Lease, account: Account) -> Found:
    """Give a machine that is on another deadline and return it with that. Its end goes first: a note must not promise more.

    Raises:
        ProviderError: Google does not let a machine that runs live longer.
    """
    if not _reaches(found, lease.deadline):
        found = _ended_later(found, lease.deadline, account)
    return written(found, {**found.note, **notes.of_lease(lease, account.now())}, {}, account)


def schedule_end(found: Found, deadline: datetime, account: Account) -> None:
    """Let Google end a machine at a deadline, as far as it allows.

    Raises:
        ProviderError: Google refused.
    """
    wanted = {key: value for key, value in found.machine.get("scheduling", {}).items() if key != "maxRunDuration"}
    body = {**wanted, "terminationTime": moment(deadline - AHEAD)}
    path = f"{found.path(account)}/setScheduling"
    until_done(asked(account, "compute.instances.setScheduling", "POST", path, body=body), account)


def written(found: Found, note: notes.Note, beside: dict[str, str], account: Account) -> Found:
    """Write a machine's note, and other metadata beside it; return the machine with it."""
    metadata = {**notes.metadata(found.machine), **beside, notes.OURS: notes.text(note)}
    body = {"fingerprint": found.machine.get("metadata", {}).get("fingerprint", ""), "items": notes.items(metadata)}
    path = f"{found.path(account)}/setMetadata"
    until_done(asked(account, "compute.instances.setMetadata", "POST", path, body=body), account)
    return found.with_part(metadata=body)


def _ended_later(found: Found, deadline: datetime, account: Account) -> Found:
    try:
        schedule_end(found, deadline, account)
    except ProviderError as error:
        if status_of(error) not in (400, 412):
            raise
        raise _not_while_it_runs(found) from error
    seen = find(InstanceRef("", found.id, found.region, found.zone), account)
    if not _reaches(seen, deadline):
        raise _not_while_it_runs(found)
    return seen


def _reaches(found: Found, deadline: datetime) -> bool:
    latest = latest_of(found.machine)
    return latest is not None and latest >= deadline.replace(microsecond=0)


def _not_while_it_runs(found: Found) -> ProviderError:
    return ProviderError(
        f"{found.name} is {found.state.value}, and Google moves the end of a stopped machine only: it keeps its deadline",
        f"Stop it, which ends what runs on it and keeps its disk, and start it for longer: cloudtrain stop {found.name}; "
        f"cloudtrain start {found.name} --max-lifetime 8h",
    )
