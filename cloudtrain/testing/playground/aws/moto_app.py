"""moto behind one door: its application, and the objects it keeps for a region."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from botocore.serialize import create_serializer
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import get_service_model
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.scheduler.models import scheduler_backends

from ..calls import Reply
from .wire import ApiCall, CloudError

REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1")
"""The regions that the pretend account has enabled."""

ACCOUNT = DEFAULT_ACCOUNT_ID


class Moto:
    """moto with nothing in it: its state is the process's, so there is one at a time."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        with _without_default_images():
            BackendDict.reset()
            reset_model_data()
            for region in REGIONS:
                self.ec2(region)

    def ec2(self, region: str) -> Any:
        """Return what EC2 keeps of a region."""
        return ec2_backends[ACCOUNT][region]

    def scheduler(self, region: str) -> Any:
        """Return what EventBridge Scheduler keeps of a region."""
        return scheduler_backends[ACCOUNT][region]

    def iam(self) -> Any:
        """Return what IAM keeps."""
        return iam_backends[ACCOUNT]["aws"]

    def answer(self, call: ApiCall) -> Reply:
        """Let moto answer.

        Raises:
            CloudError: moto has no such action, filter or field, or broke on it.
        """
        environ = {**call.environ, "wsgi.input": io.BytesIO(call.body), "CONTENT_LENGTH": str(len(call.body))}
        answered: list[Any] = []
        try:
            body = b"".join(self._app(environ, lambda status, headers, _=None: answered.extend((status, headers))))
        except Exception as error:
            # The client would see a page of HTML; whatever moto cannot do is a plain refusal here.
            raise unknown_to_moto(call, error) from error
        status, headers = int(answered[0].split()[0]), tuple(answered[1])
        if status >= 500 and "html" in dict(headers).get("Content-Type", ""):
            raise unknown_to_moto(call, None)
        return Reply(status, headers, body)

    def rewrite(self, call: ApiCall) -> ApiCall:
        """Return an EC2 call whose body says what its parameters now say."""
        operation = get_service_model("ec2").operation_model(call.action)
        fields = create_serializer("ec2").serialize_to_request(call.parameters, operation)["body"]
        return ApiCall(call.environ, urlencode(fields).encode(), call.service, call.region, call.action, call.parameters)


def unknown_to_moto(call: ApiCall, error: Exception | None) -> CloudError:
    """Return the refusal for what moto cannot do."""
    why = f" ({type(error).__name__}: {error})" if error else ""
    code = "UnsupportedOperation" if call.service == "ec2" else "UnknownOperationException"
    return CloudError(code, f"The playground does not know {call.service}:{call.action} as it was called{why}.")


@contextmanager
def _without_default_images() -> Iterator[None]:
    """Keep moto from registering its 700 images in every region; the playground has its own few."""
    switches = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "MOTO_AMIS_PATH": None}
    before = {name: os.environ.get(name) for name in switches}
    _set_environment(switches)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
