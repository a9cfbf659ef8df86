"""Azure's words for what went wrong, in ours: one table, one door."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...model.errors import (
    CredentialsError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from ..meaning import Meaning, Retry
from .login import login_hint

_OTHER_PLACE = "Another zone, size or region may do: cloudtrain offers --provider azure"
_QUOTA = (
    "Ask for more: https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas "
    "(or see them: az vm list-usage --location {location} --output table)"
)
_PRICE = "Give the machine a larger --budget or less time, or buy it on demand: market: on-demand"
_ON_DEMAND = "Buy it on demand: market: on-demand"
_LOGIN = "{login}. A clock that is off breaks logins too: compare it with `date -u`."
_SUBSCRIPTION = "Look at the subscription: az account list --output table; az account set --subscription NAME"
_WHICH_SUBSCRIPTION = (
    "It is the machine config's `subscription`, else AZURE_SUBSCRIPTION_ID, else what `az account set --subscription NAME` "
    "chose. Those there are: az account list --output table"
)
_ROLE = "Let whoever administers the subscription allow it; the role cloudtrain needs is in docs/providers/azure.md"
_REGISTER = "Once per subscription: az provider register --namespace {namespace}"
_POLICY = "A policy of the organisation forbids it: az policy assignment list --output table"
_LOCK = "Something holds a lock: az lock list --output table"
_TERMS = "The image's terms were not accepted: az vm image terms accept --urn URN (or leave `image` out)"
_LATER = "Try again in a minute."
_OURS = "Look at the machine config; if it says nothing of the kind, this is a mistake of cloudtrain's."
_LOOK = "Look: cloudtrain status; cloudtrain sweep"

CAPACITY = Meaning(NoCapacityError, Retry.ELSEWHERE, _OTHER_PLACE)
PRICE = Meaning(NoCapacityError, Retry.ELSEWHERE, _PRICE)
NO_SPOT = Meaning(NoCapacityError, Retry.ELSEWHERE, _ON_DEMAND)
BOOT = Meaning(NoCapacityError, Retry.ELSEWHERE, "It did not come up in time; another one may.")
QUOTA = Meaning(QuotaExceededError, Retry.OTHER_REGION, _QUOTA)
DENIED = Meaning(PermissionDeniedError, Retry.NEVER, _ROLE)
REGISTER = Meaning(PermissionDeniedError, Retry.NEVER, _REGISTER)
ACCOUNT = Meaning(PermissionDeniedError, Retry.NEVER, _SUBSCRIPTION)
POLICY = Meaning(PermissionDeniedError, Retry.NEVER, _POLICY)
LOCK = Meaning(PermissionDeniedError, Retry.NEVER, _LOCK)
TERMS = Meaning(PermissionDeniedError, Retry.NEVER, _TERMS)
SPOT_OFF = Meaning(PermissionDeniedError, Retry.NEVER, _ON_DEMAND)
CREDENTIALS = Meaning(CredentialsError, Retry.NEVER, _LOGIN)
WRONG_SUBSCRIPTION = Meaning(CredentialsError, Retry.NEVER, _WHICH_SUBSCRIPTION)
OURS = Meaning(ProviderError, Retry.NEVER, _OURS)
HELD = Meaning(ProviderError, Retry.LATER, _LATER)
BUSY = Meaning(ProviderUnavailableError, Retry.LATER, _LATER)
ABSENT = Meaning(ProviderError, Retry.GONE, _OURS)
UNKNOWN = Meaning(ProviderError, Retry.NEVER, _LOOK)

_ROWS: tuple[tuple[Meaning, str], ...] = (
    (
        CAPACITY,
        "AllocationFailed ZonalAllocationFailed OverconstrainedAllocationRequest OverconstrainedZonalAllocationRequest"
        " SkuNotAvailable AvailabilityZoneNotSupported LocationNotAvailableForResourceType NoRegisteredProviderFound"
        " LocationNotAvailableForResourceGroup VMSizeNotSupported InsufficientCapacity",
    ),
    (PRICE, "SpotPriceGreaterThanProvidedMaxPrice"),
    (NO_SPOT, "AzureSpotIsNotSupportedForThisVMSize"),
    (
        BOOT,
        "OSProvisioningTimedOut OSProvisioningClientError OSProvisioningInternalError VMExtensionProvisioningError"
        " VMStartTimedOut VMAgentStatusCommunicationError VMExtensionHandlerNonTransientError",
    ),
    (
        QUOTA,
        "QuotaExceeded ResourceQuotaExceeded SubscriptionQuotaReached PublicIPCountLimitReached"
        " StandardSkuPublicIPCountLimitReached VirtualNetworkCountLimitReached NetworkSecurityGroupCountLimitReached"
        " NetworkInterfaceCountLimitReached ResourceGroupQuotaExceeded",
    ),
    (
        DENIED,
        "AuthorizationFailed LinkedAuthorizationFailed AuthorizationPermissionMismatch Forbidden"
        " RoleAssignmentUpdateNotPermitted DenyAssignmentAuthorizationFailed",
    ),
    (REGISTER, "MissingSubscriptionRegistration SubscriptionNotRegistered MissingRegistrationForType"),
    (
        ACCOUNT,
        "ReadOnlyDisabledSubscription DisabledSubscription SubscriptionDisabled BillingNotEnabled"
        " SubscriptionNotFoundInBilling SpendingLimitReached",
    ),
    (POLICY, "RequestDisallowedByPolicy RequestDisallowedByAzure PolicyViolation"),
    (LOCK, "ScopeLocked"),
    (
        TERMS,
        "MarketplacePurchaseEligibilityFailed ResourcePurchaseValidationFailed VMMarketplaceInvalidInput"
        " ResourcePurchaseCanceled",
    ),
    (SPOT_OFF, "AzureSpotFeatureNotEnabledForSubscription"),
    (
        CREDENTIALS,
        "ClientAuthenticationError InvalidAuthenticationToken InvalidAuthenticationTokenTenant ExpiredAuthenticationToken"
        " AuthenticationFailed AuthenticationFailedInvalidHeader InvalidAuthenticationInfo",
    ),
    (WRONG_SUBSCRIPTION, "SubscriptionNotFound InvalidSubscriptionId"),
    (
        BUSY,
        "TooManyRequests SubscriptionRequestsThrottled ResourceRequestsThrottled OperationPreempted RetryableError"
        " RetryableErrorDueToAnotherOperation InternalServerError InternalExecutionError InternalOperationError"
        " NetworkingInternalOperationError ServerTimeout GatewayTimeout ServiceUnavailable BadGateway ServerBusy",
    ),
    (
        HELD,
        "AnotherOperationInProgress NicInUse PublicIPAddressCannotBeDeleted InUseNetworkSecurityGroupCannotBeDeleted"
        " InUseSubnetCannotBeDeleted ResourceGroupBeingDeleted ResourceGroupDeletionBlocked Conflict ConflictError"
        " AttachDiskWhileBeingDetached",
    ),
    (ABSENT, "ResourceNotFound ResourceGroupNotFound NotFound ParentResourceNotFound RoleDefinitionDoesNotExist"),
    (
        OURS,
        "OperationNotAllowed BadRequest InvalidParameter InvalidRequestContent InvalidRequestFormat InvalidResourceName"
        " InvalidTemplate PropertyChangeNotAllowed MaxPriceValueInvalid InvalidApiVersionParameter InvalidResourceReference"
        " ImageNotFound PlatformImageNotFound InvalidResourceType InvalidResourceGroupLocation MissingApiVersionParameter"
        " RoleAssignmentExists",
    ),
)

MEANINGS = {code: meaning for meaning, codes in _ROWS for code in codes.split()}

_OVER_QUOTA = re.compile(
    r"exceeding (?:the )?approved (?P<which>.+?) quota|\b(?P<spot>LowPriorityCores|low[- ]priority cores)\b"
    r"|quota (?:increase|limit)",
    re.IGNORECASE,
)
_CURRENT_LIMIT = re.compile(r"Current Limit:\s*(\d+)", re.IGNORECASE)
_CURRENT_USAGE = re.compile(r"Current Usage:\s*(\d+)", re.IGNORECASE)
_REQUIRED = re.compile(r"Additional Required:\s*(\d+)", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"vmSize|requested (?:VM )?size .* not (?:available|supported)|is not available in location", re.IGNORECASE
)
_DENIED = re.compile(r"authorization to perform action '([^']+)' over scope '([^']+)'")
_NAMESPACE = re.compile(r"namespace '([\w.]+)'")


@dataclass(eq=False)
class RefusedError(Exception):
    """What Azure said, as it said it: the cause of an error of ours.

    Attributes:
        act: what was asked, in Azure's words ("Microsoft.Compute/virtualMachines/write").
        path: what it was asked of.
        status: HTTP's number; 0 where an operation failed that had been accepted.
        codes: what it is called, the most precise first.
    """

    act: str
    path: str
    status: int
    codes: tuple[str, ...]
    said: str


def refused(act: str, path: str, status: int, reply: Mapping[str, Any]) -> ProviderError:
    """Return the error for a call that was refused, its cause set."""
    error = reply.get("error", reply)
    if not isinstance(error, Mapping):  # Entra's form
        return _told(RefusedError(act, path, status, (str(error),), str(reply.get("error_description", ""))))
    found = list(_inside(error))
    codes = tuple(code for code, _ in reversed(found) if code)
    said = next((message for _, message in reversed(found) if message), "")
    return _told(RefusedError(act, path, status, codes, said))


def failed(act: str, path: str, error: Mapping[str, Any]) -> ProviderError:
    """Return the error an operation ended with that had been accepted, its cause set."""
    return refused(act, path, 0, {"error": error or {"code": "Failed", "message": "it failed, and Azure does not say why"}})


def code_of(error: BaseException) -> str:
    """Return the most precise code Azure gave for an error of ours, "" when there is none."""
    cause = error.__cause__
    return cause.codes[0] if isinstance(cause, RefusedError) and cause.codes else ""


def status_of(error: BaseException) -> int:
    """Return HTTP's number for an error of ours, 0 when there is none."""
    return error.__cause__.status if isinstance(error.__cause__, RefusedError) else 0


def is_absent(error: BaseException) -> bool:
    """Say whether Azure knows no such thing."""
    return status_of(error) == 404 and code_of(error) not in MEANINGS.keys() - _ABSENT_CODES


def is_unanswered(error: ProviderError) -> bool:
    """Say whether nothing is known of what became of a call: it may have had its effect."""
    return isinstance(error, ProviderUnavailableError) and not isinstance(error.__cause__, RefusedError)


def unregistered(status: int, reply: Mapping[str, Any]) -> str:
    """Return the namespace a subscription must register before a call is answered; "" for any other answer."""
    refusal = refused("", "", status, reply).__cause__
    if not isinstance(refusal, RefusedError) or meaning_of(refusal) is not REGISTER:
        return ""
    found = _NAMESPACE.search(refusal.said)
    return found.group(1) if found is not None else ""


def meaning_of(refusal: RefusedError) -> Meaning:
    """Return what the table says of a refusal; of a code nobody knows, that something may exist."""
    known = [MEANINGS[code] for code in refusal.codes if code in MEANINGS]
    if OURS in known and _OVER_QUOTA.search(refusal.said):
        return QUOTA
    if OURS in known and "InvalidParameter" in refusal.codes and _NOT_THERE.search(refusal.said):
        return CAPACITY
    return known[0] if known else _by_status(refusal.status)


def _by_status(status: int) -> Meaning:
    if status == 401:
        return CREDENTIALS
    if status == 403:
        return DENIED
    if status == 404:
        return ABSENT
    if status == 429 or status >= 500:
        return BUSY
    return UNKNOWN


def _inside(error: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield code and message of an error and of those within it, the outermost first."""
    yield str(error.get("code") or ""), str(error.get("message") or "")
    details = error.get("details") or ()
    for inner in (*details, error.get("innererror") or {}) if isinstance(details, list | tuple) else ():
        if isinstance(inner, Mapping) and inner.get("code"):
            yield from _inside(inner)


def _told(refusal: RefusedError) -> ProviderError:
    meaning = meaning_of(refusal)
    code = refusal.codes[0] if refusal.codes else f"HTTP {refusal.status}"
    message = f"{refusal.act}: {_worded(refusal, meaning)} ({code})"
    if meaning is UNKNOWN:
        message += ". Something may exist there all the same"
    namespace = _NAMESPACE.search(refusal.said)
    location = re.search(r"Location: (\w+)", refusal.said)
    hint = meaning.advice.format(
        location=location.group(1) if location is not None else "LOCATION",
        namespace=namespace.group(1) if namespace is not None else "NAMESPACE",
        login=login_hint(),
    )
    error = meaning.kind(message, hint)
    error.__cause__ = refusal
    return error


def _worded(refusal: RefusedError, meaning: Meaning) -> str:
    if meaning is QUOTA:
        return _quota_worded(refusal.said)
    denied = _DENIED.search(refusal.said)
    if denied is not None:
        action, scope = denied.groups()
        return f"the account may not do {action} on {scope}"
    return " ".join(refusal.said.split()).rstrip(".") or "refused"


def _quota_worded(said: str) -> str:
    over = _OVER_QUOTA.search(said)
    numbers = [found.group(1) for found in (each.search(said) for each in (_CURRENT_LIMIT, _CURRENT_USAGE, _REQUIRED)) if found]
    if over is None or len(numbers) < 3:
        return " ".join(said.split())[:400].rstrip(".")
    which = over.group("which") or over.group("spot") or "cores"
    limit, used, needed = numbers
    never = ": this subscription never had any" if limit == "0" else ""
    return f"the quota {which} has {limit} vCPU, {used} in use, and {needed} more are needed{never}"


_ABSENT_CODES = {code for code, meaning in MEANINGS.items() if meaning is ABSENT}
