"""The firewall rules of each machine: they let the caller's address reach the SSH port, and shut it to everybody else.

The default network lets the whole world reach port 22 of every machine in it. Ours carries a tag of its own, and a rule for
that tag, which comes before the network's, shuts the port; one that comes still earlier opens it to the caller.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import LaunchOrder
from ..caller import Network, allowed_from
from . import notes
from .account import Account
from .machines import Found
from .network import Place
from .operations import Accepted, asked, until_all_done
from .translate import code_of, is_absent

OPEN, SHUT = 10, 11
"""Priorities: the lower number wins. Those of a network's usual rules are 1000 and above."""

SHUT_PORTS = (22, 3389)
EVERYBODY = {4: "0.0.0.0/0", 6: "::/0"}
_ENDINGS = {4: "", 6: "6"}

Rule = Mapping[str, Any]


def rules(name: str, network: str, allowed: Sequence[Network], port: int, note: notes.Note) -> list[Rule]:
    """Return the rules of a machine. Google keeps addresses of the two families in rules of their own."""
    made: list[Rule] = []
    usual = {"network": network, "direction": "INGRESS", "targetTags": [name], "description": notes.text(note)}
    for family, ending in _ENDINGS.items():
        blocks = [str(block) for block in allowed if block.version == family]
        if not blocks and family == 6:
            continue  # our machines have no public address of that family
        if blocks:
            opened = [{"IPProtocol": "tcp", "ports": [str(port)]}]
            made.append({**usual, "name": f"{name}-in{ending}", "priority": OPEN, "sourceRanges": blocks, "allowed": opened})
        shut = [{"IPProtocol": "tcp", "ports": [str(each) for each in sorted({*SHUT_PORTS, port})]}]
        made.append(
            {**usual, "name": f"{name}-shut{ending}", "priority": SHUT, "sourceRanges": [EVERYBODY[family]], "denied": shut}
        )
    return made


def make_rules(order: LaunchOrder, place: Place, allowed: Sequence[Network], account: Account) -> None:
    """Make the order's rules and return when they hold: no machine is to be without them for a moment.

    What it made is gone when it fails.

    Raises:
        ProviderError: Google refused.
    """
    name = notes.name_of(order.token)
    accepted: list[Accepted] = []
    try:
        wanted = rules(name, place.network, allowed, order.machine.ssh.port, notes.of_thing(order))
        accepted.extend(_made(rule, place.project, order.token, account) for rule in wanted)
        until_all_done(accepted, account)
    except ProviderError:
        with suppress(ProviderError):  # what stays bears our note and is found as a leftover
            _unmake(name, len(accepted), place.project, account)
        raise


def remove_rules(name: str, account: Account, project: str = "") -> set[str]:
    """Remove the rules of a machine and return the names of those there were. Does not wait.

    `project` owns the network where that is another project than ours.

    Raises:
        ProviderError: Google refused.
    """
    return remove_these(rules_of(name, account, project), account, project)


def remove_these(rules: Sequence[Rule], account: Account, project: str = "") -> set[str]:
    """Remove rules that were looked up. See `remove_rules`."""
    found = {str(rule["name"]) for rule in rules}
    for rule in sorted(found):
        try:
            asked(account, "compute.firewalls.delete", "DELETE", f"{_rules_path(account, project)}/{rule}")
        except ProviderError as error:
            if not is_absent(error):
                raise
    return found


def rules_of(name: str, account: Account, project: str = "") -> list[Rule]:
    """Return the rules of a machine."""
    return [rule for rule in _listed(f'name eq "{name}-(in|shut)6?"', account, project) if _machine_of(rule) == name]


def all_rules(account: Account) -> dict[str, Rule]:
    """Return one rule of ours for each machine that has any, by the machine's name."""
    found = {_machine_of(rule): rule for rule in _listed('name eq ".*-(in|shut)6?"', account, "")}
    return {name: rule for name, rule in found.items() if name}


def let_caller_in(found: Found, account: Account) -> None:
    """Make a machine's rules allow the caller's address of now, and no other one.

    Raises:
        ProviderError: the address cannot be found out, or Google refused.
    """
    interface: Rule = next(iter(found.machine.get("networkInterfaces", ())), {})
    open_to_caller(found.id, str(interface.get("network", "")), found.note, account)


def open_to_caller(name: str, network: str, note: notes.Note, account: Account) -> None:
    """Make the rules of whatever has this name, in this network, allow the caller's address of now, and no other one.

    Raises:
        ProviderError: the address cannot be found out, or Google refused.
    """
    network = "projects/" + network.partition("projects/")[2]
    project = network.split("/")[1]
    port = account.machine.ssh.port if account.machine is not None else 22
    wanted = {rule["name"]: rule for rule in rules(name, network, allowed_from(account.machine), port, _thing(note))}
    present = {rule["name"]: rule for rule in rules_of(name, account, project)}
    accepted = [
        _made(rule, project, "", account) if title not in present else _patched(rule, project, account)
        for title, rule in wanted.items()
        if _says(present.get(title, {})) != _says(rule)
    ]
    for unwanted in present.keys() - wanted.keys():
        path = f"{_rules_path(account, project)}/{unwanted}"
        accepted.append(asked(account, "compute.firewalls.delete", "DELETE", path))
    until_all_done(accepted, account)


def _machine_of(rule: Rule) -> str:
    """Return the name of the machine a rule is for, "" for a rule that is none of ours."""
    token = notes.read(rule.get("description", "")).get(notes.TOKEN, "")
    name = notes.name_of(token) if token else ""
    return name if name in rule.get("targetTags", ()) else ""


def _unmake(name: str, count: int, project: str, account: Account) -> None:
    """Remove this many rules, which may be a moment in coming."""
    gone: set[str] = set()
    for pause_s in _LOOKS_AFTER_S:
        account.settings.clock.sleep(pause_s)
        gone |= remove_rules(name, account, project)
        if len(gone) >= count:
            return


_LOOKS_AFTER_S = (0.0, 3.0, 6.0)


def _thing(note: notes.Note) -> notes.Note:
    own = {notes.ACCOUNT: note[notes.ACCOUNT]} if notes.ACCOUNT in note else {}
    return {key: note.get(key, "") for key in (notes.MACHINE, notes.TOKEN, notes.OWNER)} | own


def _made(rule: Rule, project: str, token: str, account: Account) -> Accepted:
    path = _rules_path(account, project)
    known_by = " ".join((token, rule["name"], *rule["sourceRanges"])) if token else ""
    try:
        return asked(account, "compute.firewalls.insert", "POST", path, body=rule, known_by=known_by)
    except ProviderError as error:
        if code_of(error) != "alreadyExists":
            raise
        return _patched(rule, project, account)  # of an earlier try, which may have come from another address


def _patched(rule: Rule, project: str, account: Account) -> Accepted:
    path = f"{_rules_path(account, project)}/{rule['name']}"
    return asked(account, "compute.firewalls.patch", "PATCH", path, body=rule)


def _says(rule: Rule) -> tuple[Any, ...]:
    """Return what a rule says, to be compared."""
    protocols = [sorted(each.get("ports", ())) for key in ("allowed", "denied") for each in rule.get(key, ())]
    return sorted(rule.get("sourceRanges", ())), protocols, rule.get("priority"), rule.get("disabled", False)


def _listed(filter: str, account: Account, project: str) -> list[Rule]:
    query = {"filter": filter, "maxResults": "500"}
    return list(account.rest.pages("compute.firewalls.list", _rules_path(account, project), query=query))


def _rules_path(account: Account, project: str) -> str:
    return f"projects/{project or account.rest.project}/global/firewalls"
