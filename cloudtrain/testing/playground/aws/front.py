"""How the pretend AWS speaks at its door, and which regions it has."""

from typing import Any

from ..calls import Reply
from ..faults import Fault
from .moto_app import REGIONS
from .wire import ApiCall, CloudError, read_call, write_error


class AwsDialect:
    """Reads and refuses calls as AWS does."""

    def read(self, environ: dict[str, Any]) -> ApiCall:
        """Read a request to its end."""
        return read_call(environ)

    def refuse(self, call: ApiCall, fault: Fault) -> Reply:
        """Write a refusal in the call's protocol."""
        return write_error(call, CloudError(fault.code, fault.text, fault.status))

    def takes_in(self, call: ApiCall, fault: Fault) -> bool:
        """Say no: AWS tells in its reply."""
        return False


def check_region(call: ApiCall) -> None:
    """Refuse a call to a region that the account has not enabled.

    Raises:
        CloudError: in the words of the service.
    """
    if call.region in REGIONS:
        return
    if call.service == "ec2":
        raise CloudError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    raise CloudError("UnrecognizedClientException", "The security token included in the request is invalid.", 400)
