"""Which part of the pretend cloud answers a call; what none of them knows is moto's."""

import traceback
from datetime import datetime

from moto.core.exceptions import ServiceException

from ..calls import Reply
from ..violations import Watch
from .account import Account, Handler, refuse_dry_run
from .attributes import Attributes
from .filters import check_filters
from .front import check_region
from .images import Images
from .instances import Instances
from .launch import Launches
from .lifecycle import Lifecycle
from .machine_roles import check_role
from .network import Network
from .prices import Prices
from .quotas import Quotas
from .schedules import Schedules
from .spot import SpotRequests
from .violations import Rules
from .wire import PROTOCOLS, ApiCall, CloudError, write_error, write_result


class Router:
    """All the parts, put together. Called with the cloud's lock held.

    Attributes:
        quotas: the limits.
        watch: what must never be.
    """

    def __init__(self, account: Account, lifecycle: Lifecycle) -> None:
        self._account = account
        self.quotas = Quotas(account)
        instances, network = Instances(account, lifecycle), Network(account)
        self._schedules = Schedules(account, lifecycle)
        self.watch = Watch(Rules(account, network).wrong)
        parts = (
            self.quotas,
            instances,
            network,
            self._schedules,
            Attributes(account, instances),
            Images(account),
            Launches(account, lifecycle, self.quotas),
            Prices(account),
            SpotRequests(account),
        )
        self._handlers: dict[tuple[str, str], Handler] = {}
        for part in parts:
            self._handlers |= part.handlers()

    def answer(self, call: ApiCall) -> tuple[Reply, str]:
        """Answer a call; give the reply and its outcome in a word."""
        try:
            if call.service in PROTOCOLS:
                check_region(call)
            check_role(call, self._account)
            handler = self._handlers.get((call.service, call.action), self._by_moto)
            result = handler(call)
        except CloudError as error:
            return write_error(call, error), error.code
        except ServiceException as error:
            return write_error(call, CloudError(error.code, error.message)), error.code
        except Exception as error:  # a fault of the playground's own: the caller is told, and so is who looks at the events
            self._account.note(f"broke on {call.service}:{call.action}: {traceback.format_exc()}")
            return write_error(call, CloudError("InternalError", repr(error), 500)), "InternalError"
        reply = result if isinstance(result, Reply) else write_result(call, result)
        return reply, "ok" if reply.status < 400 else f"http {reply.status}"

    def next_due(self) -> datetime | None:
        """Return when the next thing happens by itself, or None."""
        moments = [moment for moment in (self._account.timeline.next_due(), self._schedules.next_due()) if moment is not None]
        return min(moments, default=None)

    def fire_due(self) -> None:
        """Let everything happen whose time has come."""
        self._account.timeline.fire_due()
        self._schedules.fire_due()
        self._account.timeline.fire_due()

    def _by_moto(self, call: ApiCall) -> object:
        if call.service == "autoscaling":
            raise CloudError("UnsupportedOperation", "The playground makes machines by RunInstances only.")
        if call.service == "ec2":
            check_filters(call)
            refuse_dry_run(call)
        return self._account.moto.answer(call)
