"""Which part of the pretend Google Cloud answers a call."""

import traceback

from ..calls import Reply
from ..violations import Watch
from .access import Tokens, check_allowed
from .account import NUMBER, Account, Handler
from .addresses import Addresses
from .billing import Billing
from .bucket_policies import BucketPolicies
from .cloud_quotas import CloudQuotas
from .disks import Disks
from .errors import GoogleError, not_found
from .iam import Iam
from .images import PUBLIC_PROJECTS, Images
from .instances import Instances
from .launch import Launches, Parts
from .lifecycle import Lifecycle
from .machine_rights import MachineRights
from .network import Network
from .oauth import TOKEN, TOKEN_INFO, OAuth
from .operations import Operation, Operations
from .places import Places
from .quotas import Quotas
from .signed_url import SignedUrls
from .storage import Storage
from .tpu import Tpus
from .violations import Rules
from .wire import GoogleCall, write_error, write_result


class Router:
    """All the parts, put together. Called with the cloud's lock held.

    Attributes:
        quotas: the limits. watch: what must never be. tokens: who may call.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.quotas, self.tokens = Quotas(account), Tokens(account)
        self.watch = Watch(Rules(account).wrong)
        self._operations = Operations(account)
        self.lifecycle = Lifecycle(account, self._operations, self.quotas)
        images, self.network = Images(account), Network(account, self._operations)
        disks, self.tpus, policies = Disks(account, self._operations, images), Tpus(account), BucketPolicies(account)
        self._rights = MachineRights(account, policies)
        storage = Storage(account, self._rights)
        self._oauth, self._signed_urls = OAuth(account, self.tokens), SignedUrls(account, storage, self.tokens)
        parts = (
            self._operations,
            images,
            self.network,
            disks,
            Places(account, self.quotas),
            Instances(account, self._operations, self.lifecycle),
            Launches(Parts(account, self.lifecycle, self.network, disks, images)),
            Addresses(account, self._operations),
            Billing(account),
            CloudQuotas(account, self.quotas),
            Iam(account, self.tokens),
            policies,
            storage,
            self.tpus,
        )
        self._handlers: dict[str, Handler] = {}
        for part in parts:
            self._handlers |= part.handlers()
        self._handlers["oauth2.tokeninfo"] = self._oauth.token_info

    def answer(self, call: GoogleCall) -> tuple[Reply, str]:
        """Answer a call; give the reply and its outcome in a word."""
        try:
            reply = self._answered(call)
        except GoogleError as error:
            return write_error(call, error), error.reason
        except Exception as error:  # a fault of the playground's own: the caller is told, and so is who looks at the events
            self._account.note(f"broke on {call.action}: {traceback.format_exc()}")
            return write_error(call, GoogleError(500, "internalError", f"The playground broke: {error!r}")), "internalError"
        return reply, "ok" if reply.status < 400 else f"http {reply.status}"

    def _answered(self, call: GoogleCall) -> Reply:
        if call.method is None:
            return self._outside(call)
        if call.service != "oauth2":
            self.tokens.check(call)
        if call.problem is not None:
            raise call.problem
        self._rights.check_service(call)
        check_allowed(self._account, call)
        self._check_project(call)
        handler = self._handlers.get(call.action)
        if handler is None:
            raise GoogleError(501, "notImplemented", f"The playground does not have {call.action}.")
        result = self._operations.repeated(call) or handler(call)
        if isinstance(result, Operation):
            self._operations.remember(call, result)
            return write_result(call, dict(result.body))
        return result if isinstance(result, Reply) else write_result(call, result)

    def _outside(self, call: GoogleCall) -> Reply:
        """Answer what no discovery document describes."""
        if call.path_text == TOKEN:
            return self._oauth.answer(call)
        if call.path_text == TOKEN_INFO:
            return self._oauth.answer_token_info(call)
        if self._signed_urls.is_about(call):
            return self._signed_urls.answer(call)
        verb = call.environ["REQUEST_METHOD"]
        raise GoogleError(400, "badRequest", f"No method of a service that is known here is {verb} {call.path_text}.")

    def _check_project(self, call: GoogleCall) -> None:
        project = call.path.get("project")
        known = (self._account.project, NUMBER, *(PUBLIC_PROJECTS if call.action.startswith("compute.image") else ()))
        if project is not None and project not in known:
            raise not_found(f"projects/{project}")
