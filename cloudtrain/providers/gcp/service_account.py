"""The service account of one machine, made only when its order asks for it: it reaches one folder of Cloud Storage alone.

What it may do there stands in the bucket's own policy, with a condition that names the folder. It has no key: only the
machine's metadata server gives tokens in its name.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from ...model.errors import PermissionDeniedError, ProviderError
from ...model.instance import LaunchOrder
from ..written import moment, read_moment
from . import notes
from .account import Account
from .bucket_right import ROLE, let_in, refuse_without_conditions, shut_out
from .iam import again_while, asked, is_unknown
from .storage import Address, address_of
from .translate import status_of

PREFIX = "cloudtrain-"
"""How the id of each begins."""

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
"""All that a machine's tokens are good for, whatever the account may do."""

LONGEST_DESCRIPTION = 256

_BUCKET = "bucket"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Made:
    """One that was made for a machine.

    Attributes:
        id: its name, before the @.
        made_at: when it was made; None where nothing says so.
    """

    id: str
    token: str
    owner: str
    made_at: datetime | None

    @property
    def machine(self) -> str:
        """Return Google's name of the machine it was made for."""
        return notes.name_of(self.token) if self.token else ""


def id_of(name: str) -> str:
    """Return the id of a machine's account, by Google's name of the machine; the same for the same machine."""
    return PREFIX + hashlib.sha256(name.encode()).hexdigest()[:19]  # thirty letters are the most


def is_ours(id: str) -> bool:
    """Say whether an id is one that `id_of` gives."""
    return re.fullmatch(rf"{PREFIX}[0-9a-f]{{19}}", id) is not None


def email_of(id: str, account: Account) -> str:
    """Return an account's address."""
    domain, _, project = account.rest.project.rpartition(":")  # older projects are "example.com:project"
    return f"{id}@{'.'.join(filter(None, (project, domain)))}.iam.gserviceaccount.com"


def email_for(order: LaunchOrder, account: Account) -> str:
    """Return the address of the order's account, "" when it asks for none."""
    return email_of(id_of(notes.name_of(order.token)), account) if order.checkpoints else ""


def of_request(order: LaunchOrder, account: Account) -> dict[str, Any]:
    """Return the part of instances.insert that gives a machine its account."""
    email = email_for(order, account)
    return {"serviceAccounts": [{"email": email, "scopes": [SCOPE]}]} if email else {}


def refuse_address(order: LaunchOrder) -> None:
    """Refuse an order whose checkpoints lie in no bucket of Google's, before anything is made.

    Raises:
        ConfigError: they do.
    """
    if order.checkpoints:
        address_of(order.checkpoints)


def told_of(url: str) -> str:
    """Say what is made for checkpoints at an address, for who is about to pay."""
    return (
        f"For {url} a launch makes a service account of the machine's own ({PREFIX}…, without a key) with {ROLE} there and "
        "nowhere else: the job may read, replace and delete what lies there. Both go with the machine."
    )


def make(order: LaunchOrder, account: Account) -> None:
    """Make the order's account where it asks for one, or find it, and let it into its folder. Fails with nothing left.

    Raises:
        PermissionDeniedError: the login may not make it, or not change the bucket's policy; names the permission.
        ProviderError: there is no such bucket, or Google refused otherwise.
    """
    if not order.checkpoints:
        return
    address = address_of(order.checkpoints)
    refuse_without_conditions(address, account)
    try:
        _create(order, address, account)
        let_in(email_for(order, account), address, account)
    except ProviderError:
        undo(order, account)
        raise


def undo(order: LaunchOrder, account: Account) -> None:
    """Remove what `make` made for an order, as far as that can be done now."""
    if order.checkpoints:
        with suppress(ProviderError):  # what stays bears our note and is found as a leftover
            remove(id_of(notes.name_of(order.token)), account)


def until_known(ask: Callable[[str], T], account: Account) -> T:
    """Launch again while Google does not know the account yet, for a while. `ask` is given what makes a try another one.

    Raises:
        ProviderError: the last answer.
    """
    tries = iter(range(1, 1000))

    def once() -> T:
        number = next(tries)
        return ask("" if number == 1 else f" again {number}")

    return again_while(is_unknown, once, account)


def remove(id: str, account: Account) -> None:
    """Take an account's right away, then remove it. An absent one is a success. It goes last: by it the rest is found.

    Raises:
        PermissionDeniedError: the login may not; names the permission.
        ProviderError: Google does not let go of it.
    """
    path = _path(id, account)
    found = asked(account, "iam.projects.serviceAccounts.get", "GET", path, or_absent=True)
    if not found:
        return
    bucket = notes.read(str(found.get("description", ""))).get(_BUCKET, "")
    if bucket:
        shut_out(email_of(id, account), bucket, account)
    asked(account, "iam.projects.serviceAccounts.delete", "DELETE", path, or_absent=True)


def made(account: Account) -> Sequence[Made]:
    """Return those that were made for machines. Who may not list accounts sees none: they cost nothing.

    Raises:
        ProviderError: Google did not answer.
    """
    path, query = account.below("serviceAccounts"), {"pageSize": "100"}
    try:
        listed = list(account.rest.pages("iam.projects.serviceAccounts.list", path, query=query, key="accounts"))
    except PermissionDeniedError:
        return ()
    found = [(str(each.get("email", "")).partition("@")[0], each) for each in listed]
    return [_read(id, each) for id, each in found if is_ours(id)]


def _create(order: LaunchOrder, address: Address, account: Account) -> None:
    note = {notes.OWNER: order.owner, _BUCKET: address.bucket, notes.ISSUED: moment(account.now())}
    about = notes.text(note)
    if len(about.encode()) > LONGEST_DESCRIPTION:
        about = notes.text({**note, notes.OWNER: ""})
    body = {
        "accountId": id_of(notes.name_of(order.token)),
        "serviceAccount": {"displayName": order.token, "description": about},
    }
    try:
        asked(account, "iam.projects.serviceAccounts.create", "POST", account.below("serviceAccounts"), body=body)
    except ProviderError as error:
        if status_of(error) != 409:
            raise


def _path(id: str, account: Account) -> str:
    return account.below(f"serviceAccounts/{email_of(id, account)}")


def _read(id: str, found: Mapping[str, Any]) -> Made:
    note = notes.read(str(found.get("description", "")))
    return Made(id, str(found.get("displayName", "")), note.get(notes.OWNER, ""), read_moment(note.get(notes.ISSUED, "")))
