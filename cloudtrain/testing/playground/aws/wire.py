"""AWS's wire: which call a request is, and how an answer or a refusal is written in that call's protocol."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from moto.ec2.responses import EC2Response
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound

from ..calls import Reply

SCOPE = re.compile(r"Credential=[^/,]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
SDK_NAMES = {"servicequotas": "service-quotas"}
PROTOCOLS = {
    "ec2": "ec2",
    "iam": "query",
    "sts": "query",
    "s3": "rest-xml",
    "scheduler": "rest-json",
    "ssm": "json",
    "service-quotas": "json",
    "pricing": "json",
    "ce": "json",
}
"""The services whose calls are read; any other is handed to moto as it is."""

# moto writes every machine of a RunInstances reply as pending; a repeated call must show what the machine is now.
EC2_TRANSFORMERS = {
    path: transform
    for path, transform in EC2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
    if not path.startswith("RunInstances.")
}


class CloudError(Exception):
    """A refusal, as the cloud words it."""

    def __init__(self, code: str, message: str, http: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.http = code, message, http


@dataclass(slots=True)
class ApiCall:
    """One call of the cloud's API.

    Attributes:
        service: as the SDK names it ("ec2", "service-quotas"); "" when it cannot be told.
        action: as the API names it ("RunInstances").
        parameters: as the SDK's caller wrote them.
    """

    environ: dict[str, Any]
    body: bytes
    service: str
    region: str
    action: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")


def read_call(environ: dict[str, Any]) -> ApiCall:
    """Read a request to its end."""
    body = _body(environ)
    scope = SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    region, signed_for = (scope[1], scope[2]) if scope else ("us-east-1", "s3")
    service = SDK_NAMES.get(signed_for, signed_for)
    call = ApiCall(environ, body, service, region, "")
    protocol = PROTOCOLS.get(service, "")
    if protocol in ("ec2", "query"):
        _read_query(call, protocol)
    elif protocol == "json":
        call.action = str(environ.get("HTTP_X_AMZ_TARGET", "")).rsplit(".", 1)[-1]
        call.parameters = _json_object(body)
    elif protocol:
        _read_rest(call, protocol)
    return call


def write_result(call: ApiCall, result: object) -> Reply:
    """Write an answer. For EC2 the result may hold moto's own objects."""
    if PROTOCOLS[call.service] != "ec2":
        return _json_reply(200, result)
    operation = get_service_model("ec2").operation_model(call.action)
    picker = XFormedAttributePicker(response_transformers=EC2_TRANSFORMERS)
    serializer = get_serializer_class("ec2", "ec2")(operation_model=operation, value_picker=picker)
    body = serializer.serialize(result)["body"]
    return Reply(200, (("Content-Type", "text/xml"),), body if isinstance(body, bytes) else body.encode())


def write_error(call: ApiCall, error: CloudError) -> Reply:
    """Write a refusal."""
    protocol = PROTOCOLS.get(call.service, "json")
    code, message = escape(error.code), escape(error.message)
    if protocol == "ec2":
        text = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        return _xml_reply(error.http, f"{text}<RequestID>playground</RequestID></Response>")
    if protocol == "query":
        text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return _xml_reply(error.http, f"{text}<RequestId>playground</RequestId></ErrorResponse>")
    if protocol == "rest-xml":
        return _xml_reply(error.http, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    return _json_reply(error.http, body, ("x-amzn-ErrorType", error.code))


def _body(environ: dict[str, Any]) -> bytes:
    stream = environ["wsgi.input"]
    length = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = stream.read(length)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def _read_query(call: ApiCall, protocol: str) -> None:
    values = MotoRequest(_rewound(call)).values
    call.action = str(values.get("Action", ""))
    model = get_service_model(call.service)
    if call.action in model.operation_names:
        parser = PROTOCOL_PARSERS[protocol](model.operation_model(call.action), timestamp_parser=str)
        call.parameters = parser.parse(_form(call, values))


def _read_rest(call: ApiCall, protocol: str) -> None:
    request = MotoRequest(_rewound(call))
    try:
        operation, labels = get_service_router(call.service).match(request)
    except NotFound:
        return
    call.action = str(operation.name)
    queries = request.args.to_dict()
    call.parameters = {**queries, **labels, **(_json_object(call.body) if protocol == "rest-json" else {})}


def _form(call: ApiCall, values: Mapping[str, str]) -> Any:
    return {"values": MultiDict(values), "body": call.body, "headers": {}, "method": "POST", "url_params": {}, "url_path": "/"}


def _rewound(call: ApiCall) -> dict[str, Any]:
    return {**call.environ, "wsgi.input": io.BytesIO(call.body)}


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        read = json.loads(body or b"{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _json_reply(status: int, answer: object, *headers: tuple[str, str]) -> Reply:
    content = ("Content-Type", "application/x-amz-json-1.1")
    return Reply(status, (content, *headers), json.dumps(answer).encode())


def _xml_reply(status: int, text: str) -> Reply:
    return Reply(status, (("Content-Type", "text/xml"),), f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode())


def strings(parameters: Mapping[str, Any], name: str) -> list[str]:
    """Return a list parameter; empty when it was not given."""
    return [str(item) for item in parameters.get(name) or []]
