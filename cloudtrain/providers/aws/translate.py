"""EC2's words for what went wrong, in ours: one table, one door."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...model.errors import (
    CredentialsError,
    InstanceNotFoundError,
    NoCapacityError,
    NotSetUpError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from ..meaning import Meaning, Retry

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


_OTHER_PLACE = "Another zone, instance type or region may do: cloudtrain offers --provider aws"
_QUOTA = (
    "Ask for more: aws service-quotas request-service-quota-increase --service-code ec2 --region {region} "
    "--quota-code {quota} --desired-value VCPUS"
)
_OTHER_QUOTA = "See the limits: aws service-quotas list-service-quotas --service-code {service} --region {region}"
_LOGIN = "Log in: aws configure (or aws sso login). A clock that is off breaks signatures too: compare it with `date -u`."
_ACCOUNT = "Look at the account: https://console.aws.amazon.com/billing/home#/account"
_OPT_IN = "Switch the region on: https://console.aws.amazon.com/billing/home#/account (AWS Regions), or use another one"
_POLICY = "Let whoever administers the account allow it; the policy cloudtrain needs is in docs/providers/aws.md"
_LINKED_ROLE = "Once per account: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
_LATER = "Try again in a minute."
_OURS = "Look at the machine config; if it says nothing of the kind, this is a mistake of cloudtrain's."

CAPACITY = Meaning(NoCapacityError, Retry.ELSEWHERE, _OTHER_PLACE)
QUOTA = Meaning(QuotaExceededError, Retry.OTHER_REGION, _QUOTA)
OTHER_QUOTA = Meaning(QuotaExceededError, Retry.OTHER_REGION, _OTHER_QUOTA)
DENIED = Meaning(PermissionDeniedError, Retry.NEVER, _POLICY)
CREDENTIALS = Meaning(CredentialsError, Retry.NEVER, _LOGIN)
ACCOUNT = Meaning(PermissionDeniedError, Retry.NEVER, _ACCOUNT)
OURS = Meaning(ProviderError, Retry.NEVER, _OURS)
BUSY = Meaning(ProviderUnavailableError, Retry.LATER, _LATER)
NOT_FOUND = Meaning(InstanceNotFoundError, Retry.GONE, "Look: cloudtrain status")
ABSENT = Meaning(ProviderError, Retry.GONE, _OURS)

_ROWS: tuple[tuple[Meaning, str], ...] = (
    (
        CAPACITY,
        "InsufficientInstanceCapacity InsufficientHostCapacity InsufficientCapacity InsufficientReservedInstanceCapacity"
        " UnfulfillableCapacity SpotMaxPriceTooLow ReservationCapacityExceeded InsufficientCapacityOnHost",
    ),
    # The subnet is full: the next zone has another one.
    (CAPACITY, "InsufficientFreeAddressesInSubnet"),
    # This type is not sold in this zone or region.
    (CAPACITY, "Unsupported InvalidInstanceType InvalidInstanceType.NotSupported"),
    (QUOTA, "VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded MaxSpotFleetRequestCountExceeded"),
    (
        OTHER_QUOTA,
        "VolumeLimitExceeded AddressLimitExceeded SecurityGroupLimitExceeded VpcLimitExceeded InternetGatewayLimitExceeded"
        " SubnetLimitExceeded NetworkInterfaceLimitExceeded ResourceLimitExceeded ServiceQuotaExceededException",
    ),
    (DENIED, "UnauthorizedOperation AccessDenied AccessDeniedException UnauthorizedAccess"),
    (
        Meaning(
            PermissionDeniedError,
            Retry.NEVER,
            "End its protection: aws ec2 modify-instance-attribute --region {region} "
            "--no-disable-api-termination --instance-id ID",
        ),
        "OperationNotPermitted",
    ),
    (Meaning(PermissionDeniedError, Retry.NEVER, _LINKED_ROLE), "AuthFailure.ServiceLinkedRoleCreationNotPermitted"),
    (
        CREDENTIALS,
        "AuthFailure InvalidClientTokenId ExpiredToken ExpiredTokenException RequestExpired SignatureDoesNotMatch"
        " MissingAuthenticationToken UnrecognizedClientException InvalidAccessKeyId IncompleteSignature"
        " InvalidSignatureException MissingAuthenticationTokenException",
    ),
    (Meaning(PermissionDeniedError, Retry.NEVER, _OPT_IN), "OptInRequired"),
    (ACCOUNT, "PendingVerification Blocked AccountProblem"),
    (
        OURS,
        "InvalidAMIID.NotFound InvalidAMIID.Malformed InvalidAMIID.Unavailable InvalidBlockDeviceMapping"
        " InvalidKeyPair.NotFound InvalidParameterValue InvalidParameterCombination InvalidParameter MissingParameter"
        " IdempotentParameterMismatch InvalidUserData.Malformed InvalidSubnetID.NotFound InvalidVpcID.NotFound"
        " InvalidGroup.Duplicate InvalidPermission.Duplicate DependencyViolation ValidationException ValidationError"
        " IncorrectInstanceState IncorrectState UnsupportedOperation InvalidInstanceAttributeValue InvalidAction"
        " IdempotentInstanceTerminated ConflictException",
    ),
    (
        BUSY,
        "RequestLimitExceeded Throttling ThrottlingException EC2ThrottledException TooManyRequestsException"
        " ServiceUnavailable ServiceUnavailableException InternalError InternalFailure InternalServerException"
        " InternalServerError Unavailable ServerInternal RequestTimeout",
    ),
    (NOT_FOUND, "InvalidInstanceID.NotFound InvalidInstanceID.Malformed"),
    (
        ABSENT,
        "InvalidGroup.NotFound InvalidGroupId.Malformed InvalidVolume.NotFound InvalidSpotInstanceRequestID.NotFound"
        " InvalidPermission.NotFound ResourceNotFoundException ParameterNotFound NoSuchEntity",
    ),
)

MEANINGS = {code: meaning for meaning, codes in _ROWS for code in codes.split()}

_WRONG_PLACE = re.compile(
    r"availability zone|not supported in|requested configuration is currently not supported", re.IGNORECASE
)
_DENIED = re.compile(r"not authorized to perform: (\S+)(?: on resource: (\S+))?")
_ENCODED = re.compile(r"\s*Encoded authorization failure message:.*", re.DOTALL)


@contextmanager
def calling(region: str = "", *, quota: str = "") -> Iterator[None]:
    """Turn what the SDK raises into our errors, their cause kept.

    `region` and `quota` (a Service Quotas code) go into the line to type next.

    Raises:
        ProviderError: of the kind the table says; ProviderUnavailableError where no answer came.
    """
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        translated = _translated(error, region, quota)
        if translated is None:
            raise
        raise translated from error


def code_of(error: BaseException) -> str:
    """Return the code AWS gave for an error of ours or the SDK's, "" when there is none."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def retry_of(error: ProviderError) -> Retry | None:
    """Return what may help against an error that left through `calling`, None when the code is not in the table.

    A call that got no answer at all may be asked again.
    """
    meaning = MEANINGS.get(code_of(error))
    if meaning is not None:
        return meaning.retry
    return Retry.LATER if isinstance(error, ProviderUnavailableError) else None


def is_not_opted_in(error: ProviderError) -> bool:
    """Say whether this is how a region refuses that the account has not switched on."""
    return code_of(error) in ("AuthFailure", "OptInRequired", "UnrecognizedClientException", "InvalidClientTokenId")


def _translated(error: Exception, region: str, quota: str) -> ProviderError | None:
    try:
        from botocore import exceptions as sdk  # here, because the SDK is imported when it is used
        from botocore.parsers import ResponseParserError
    except ImportError:
        return None
    if isinstance(error, sdk.ClientError):
        return _answered(error, region, quota)
    if isinstance(error, sdk.NoCredentialsError):
        return NotSetUpError("AWS cannot be asked: there are no credentials on this computer", _LOGIN)
    if isinstance(error, _without_valid_credentials()):
        return CredentialsError(f"AWS cannot be asked: {error}", _LOGIN)
    if isinstance(error, sdk.ParamValidationError):
        return ProviderError(f"AWS was not asked: {error}", _OURS)
    if isinstance(error, sdk.BotoCoreError | ResponseParserError):  # the latter: a captive portal's page, say
        where = f" in {region}" if region else ""
        return ProviderUnavailableError(f"AWS did not answer{where}: {error}", "Look at the network, then try again.")
    return None


def _without_valid_credentials() -> tuple[type[Exception], ...]:
    from botocore import exceptions as sdk

    return (
        sdk.PartialCredentialsError,
        sdk.CredentialRetrievalError,
        sdk.ProfileNotFound,
        sdk.ConfigParseError,
        sdk.TokenRetrievalError,
        sdk.SSOError,
    )


def _answered(error: "ClientError", region: str, quota: str) -> ProviderError:
    code = code_of(error)
    where = f" in {region}" if region else ""
    said = _ENCODED.sub("", str(error.response.get("Error", {}).get("Message", ""))).strip()
    message = f"{error.operation_name}{where}: {_worded(code, said)} ({code})"
    meaning = _meaning(code, said, error)
    if meaning is None:
        return ProviderError(f"{message}. Something may exist there all the same", "Look: cloudtrain status; cloudtrain sweep")
    service = "vpc" if code.startswith(("Vpc", "Subnet", "SecurityGroup", "InternetGateway", "NetworkInterface")) else "ec2"
    hint = meaning.advice.format(region=region or "REGION", quota=quota or "QUOTA_CODE", service=service)
    return meaning.kind(message, hint)


def _meaning(code: str, said: str, error: "ClientError") -> Meaning | None:
    if code == "InvalidParameterCombination" and _WRONG_PLACE.search(said):
        return CAPACITY
    if code in MEANINGS:
        return MEANINGS[code]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return BUSY if status >= 500 or status == 429 else None


def _worded(code: str, said: str) -> str:
    denied = _DENIED.search(said)
    if denied is not None:
        action, resource = denied.groups()
        return f"the account may not do {action}" + (f" on {resource.rstrip('.')}" if resource else "")
    return said.rstrip(".") or f"refused with {code}"
