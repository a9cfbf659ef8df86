"""What must hold of every machine and every group of the pretend Azure at every moment."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from .access import Access, Assignment
from .account import Account
from .network_rules import may_reach, sources
from .rights import is_like
from .things import BILLED, Machine

PREFIX = "cloudtrain"
SSH = 22


class Rules:
    """What must hold of a subscription. A machine of ours is one with a tag whose key begins with "cloudtrain".

    Attributes:
        callers: the addresses that have called so far; they may come in.
        grace_s: how long after it began to run a machine may be without anything that ends it.
    """

    def __init__(self, account: Account, access: Access, has_end: Callable[[Machine], bool]) -> None:
        self._account, self._access, self._has_end = account, access, has_end
        self.callers: set[str] = set()
        self.grace_s = 60.0

    def wrong(self) -> Iterator[tuple[str, str]]:
        """Look at everything; give what is wrong as a resource and a sentence about it."""
        for machine in self._account.machines.values():
            for what in self._wrong_with(machine):
                yield machine.id, what
        for group in self._account.groups.values():
            holds = any(resource.group.lower() == group.name.lower() for resource in self._account.resources.values())
            if holds and not _is_ours(group.tags):
                yield group.name, "the group holds something and carries no tag of ours"

    def _wrong_with(self, machine: Machine) -> Iterator[str]:
        if not _is_ours(machine.tags):
            yield "it carries no tag of ours"
        yield from self._wrong_with_end(machine)
        yield from _wrong_with_parts(self._account, machine)
        for source in sources(self._account):
            if source not in self.callers and may_reach(self._account, source, machine, SSH):
                yield f"port {SSH} is open to {source}"
        yield from self._wrong_with_identity(machine)

    def _wrong_with_end(self, machine: Machine) -> Iterator[str]:
        if machine.power not in BILLED or machine.allocated_at is None:
            return
        late = self._account.timeline.now() - machine.allocated_at > timedelta(seconds=self.grace_s)
        if late and not self._has_end(machine) and not self._ends_itself(machine):
            yield f"it bills and nothing will end that, more than {self.grace_s:.0f} s after it began to run"

    def _ends_itself(self, machine: Machine) -> bool:
        """Say whether a machine may deallocate or delete itself, now or once its role has its effect."""
        own = f"Microsoft.Compute/{machine.resource.type.partition('/')[2]}"
        asked = (f"{own}/deallocate/action", f"{own}/delete")
        allowed = [action for right in self._rights(machine) for action in self._access.actions_of(right)]
        return any(is_like(one, action) for one in asked for action in allowed)

    def _rights(self, machine: Machine) -> list[Assignment]:
        return self._access.rights(machine.principal) if machine.principal else []

    def _wrong_with_identity(self, machine: Machine) -> Iterator[str]:
        for assignment in self._rights(machine):
            if assignment.scope.lower() in (scope.lower() for scope in self._account.allowed_scopes):
                continue
            if assignment.scope.lower() != machine.resource.id.lower():
                yield f"its identity has a role at {assignment.scope}, which is more than itself"
            elif any("*" in action.split("/")[-2:] or action == "*" for action in self._access.actions_of(assignment)):
                yield "its identity may do anything with itself, and needs to deallocate and read alone"


def _wrong_with_parts(account: Account, machine: Machine) -> Iterator[str]:
    if machine.properties["storageProfile"]["osDisk"]["deleteOption"] != "Delete":
        yield "its disk outlives it"
    for one in machine.properties["networkProfile"]["networkInterfaces"]:
        if (one.get("properties") or {}).get("deleteOption") != "Delete":
            yield "its network interface outlives it"
    if not machine.user_data:
        yield "it has no custom data and no user data, so nothing arms its end"


def _is_ours(tags: dict[str, str]) -> bool:
    return any(key.startswith(PREFIX) for key in tags)
