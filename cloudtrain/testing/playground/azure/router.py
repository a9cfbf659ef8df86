"""Which part of the pretend Azure answers a call."""

import json
import traceback

from ..calls import Reply
from ..violations import Watch
from .access import Access
from .account import Account, Handler
from .blobs import Blobs
from .disks import Disks
from .entra import Entra, OAuthError
from .errors import ArmError
from .extensions import Extensions
from .groups import Groups
from .images import Images
from .interfaces import Interfaces
from .lifecycle import Lifecycle
from .machines import Machines
from .network import Network
from .operations import Operations
from .places import Places
from .prices import Prices
from .rights import action_of
from .schedules import DAILY, Schedules
from .things import Resource
from .violations import Rules
from .wire import ArmCall, write_error, write_result

READS = ("GET", "HEAD")


class Router:
    """All the parts, put together. Called with the cloud's lock held."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.entra, self.access, self.places = Entra(account), Access(account), Places(account)
        operations = Operations(account)
        self.lifecycle = Lifecycle(account, operations, self.entra)
        self.lifecycle.forget = self.access.forget
        self.schedules = Schedules(account, self.lifecycle)
        self.blobs, self.prices = Blobs(account, self.entra, self.access), Prices()
        self.rules = Rules(account, self.access, self.schedules.has_end)
        self.watch = Watch(self.rules.wrong)
        network = Network(account, operations)
        parts = (
            operations,
            network,
            self.access,
            self.places,
            self.schedules,
            self.blobs,
            Disks(account, operations),
            Groups(account, operations, self._clear),
            Images(account),
            Extensions(account, operations, self.lifecycle),
            Machines(account, operations, self.lifecycle, self.places, Interfaces(account, network)),
        )
        self._handlers: dict[tuple[str, str], Handler] = {}
        for part in parts:
            self._handlers |= part.handlers()
        self._open: dict[tuple[str, str], Handler] = {**self.entra.handlers(), **self.prices.handlers()}

    def answer(self, call: ArmCall) -> tuple[Reply, str]:
        """Answer a call; give the reply and its outcome in a word."""
        try:
            reply = self._answered(call)
        except ArmError as error:
            return write_error(call, error), error.code
        except OAuthError as error:
            headers = (("Content-Type", "application/json; charset=utf-8"),)
            return Reply(error.status, headers, json.dumps(error.body).encode()), str(error.body["error"])
        except Exception as error:  # a fault of the playground's own: the caller is told, and so is who looks at the events
            self._account.note(f"broke on {call.service} {call.action}: {traceback.format_exc()}")
            return write_error(call, ArmError("InternalServerError", f"The playground broke: {error!r}")), "InternalServerError"
        return reply, "ok" if reply.status < 400 else f"http {reply.status}"

    def _answered(self, call: ArmCall) -> Reply:
        is_open = (call.service, call.action) in self._open
        if call.service == "Storage":
            return self.blobs.answer(call)
        if not is_open:
            call.principal = self.entra.check(call)
        if call.problem is not None:
            raise call.problem
        if not is_open:
            self._check_subscription(call)
            self.access.check(call)
            self._check_registered(call)
        handler = (self._open if is_open else self._handlers).get((call.service, call.action))
        if handler is None:
            raise ArmError("NotImplemented", f"The playground does not have {call.service}/{call.action}.", status=501)
        result = handler(call)
        return result if isinstance(result, Reply) else write_result(call, result)

    def _check_subscription(self, call: ArmCall) -> None:
        parts = call.path.strip("/").split("/")
        if parts[0].lower() == "subscriptions" and len(parts) > 1 and parts[1].lower() != self._account.subscription:
            raise ArmError("SubscriptionNotFound", f"The subscription '{parts[1]}' could not be found.")

    def _check_registered(self, call: ArmCall) -> None:
        if call.verb in READS or call.service == "Microsoft.Resources" or call.service in self._account.registered:
            return
        text = (
            f"The subscription is not registered to use namespace '{call.service}'. See https://aka.ms/rps-not-found for "
            "how to "
        )
        detail = {
            "code": "MissingSubscriptionRegistration",
            "target": call.service,
            "message": f"{text}register subscriptions.",
        }
        raise ArmError("MissingSubscriptionRegistration", f"{text}register subscriptions.", details=[detail])

    def _clear(self, resource: Resource) -> None:
        """End anything that goes with its group."""
        machine = self._account.machines.get(resource.id.lower())
        if machine is not None:
            self.lifecycle.remove(machine)
        elif resource.type == DAILY:
            self.schedules.clear(resource)
        self._account.remove(resource.id)
        self.access.forget(resource.id)


def is_change(call: ArmCall) -> bool:
    """Say whether a call may have changed anything of Resource Manager's."""
    return call.operation is not None and not action_of(call).endswith("/read")
