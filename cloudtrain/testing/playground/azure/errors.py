"""Refusals in Azure's words: the HTTP status a code comes with, what it says, and which are told later, by the operation."""

from collections.abc import Mapping, Sequence
from typing import Any

STATUSES = {
    "AuthorizationFailed": 403,
    "ExpiredAuthenticationToken": 401,
    "InUseNetworkSecurityGroupCannotBeDeleted": 400,
    "InternalServerError": 500,
    "InvalidAuthenticationToken": 401,
    "LinkedAuthorizationFailed": 403,
    "MissingSubscriptionRegistration": 409,
    "NotFound": 404,
    "OperationNotAllowed": 409,
    "ParentResourceNotFound": 404,
    "PlatformImageNotFound": 404,
    "PropertyChangeNotAllowed": 409,
    "QuotaExceeded": 409,
    "ReadOnlyDisabledSubscription": 409,
    "RequestDisallowedByPolicy": 403,
    "ResourceGroupNotFound": 404,
    "ResourceNotFound": 404,
    "RetryableError": 429,
    "ScopeLocked": 409,
    "ServerTimeout": 503,
    "ServiceUnavailable": 503,
    "SkuNotAvailable": 409,
    "SpotPriceGreaterThanProvidedMaxPrice": 409,
    "SubscriptionNotFound": 404,
    "SubscriptionRequestsThrottled": 429,
    "TooManyRequests": 429,
}
"""Where a code comes with another status than 400."""

LATER = (
    "AllocationFailed",
    "InternalExecutionError",
    "NetworkingInternalOperationError",
    "OSProvisioningInternalError",
    "OSProvisioningTimedOut",
    "OperationPreempted",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "VMExtensionProvisioningError",
    "VMStartTimedOut",
    "ZonalAllocationFailed",
)
"""Told by the operation, after the request itself was accepted."""

TEXTS = {
    "AllocationFailed": "Allocation failed. We do not have sufficient capacity for the requested VM size in this "
    "region. Read more "
    "about improving likelihood of allocation success at http://aka.ms/allocation-guidance",
    "ZonalAllocationFailed": "Allocation failed. We do not have sufficient capacity for the requested VM size in this "
    "zone. Read "
    "more about improving likelihood of allocation success at http://aka.ms/allocation-guidance",
    "OverconstrainedAllocationRequest": "Allocation failed. VM(s) with the following constraints cannot be allocated, "
    "because the "
    "condition is too restrictive. Please remove some constraints and try again. Constraints applied are:\n  - VM Size",
    "OverconstrainedZonalAllocationRequest": "Allocation failed. VM(s) with the following constraints cannot be "
    "allocated, because "
    "the condition is too restrictive. Please remove some constraints and try again. Constraints applied are:\n"
    "  - Availability Zone\n  - VM Size",
    "SkuNotAvailable": "The requested size for resource is currently not available in the location. Please try another size or "
    "deploy to a different location or different zones. See https://aka.ms/azureskunotavailable for details.",
    "ReadOnlyDisabledSubscription": "The subscription is disabled and therefore marked as read only. You cannot "
    "perform any write "
    "actions on this subscription until it is re-enabled.",
    "RequestDisallowedByPolicy": "Resource was disallowed by policy. Reasons: 'This size is not allowed.'. See error "
    "details for "
    "policy resource IDs.",
    "TooManyRequests": "The server rejected the request because too many requests have been received for this subscription.",
    "OperationNotAllowed": "Operation could not be completed as it results in exceeding approved quota.",
    "OperationPreempted": "The operation has been preempted by a more recent operation.",
    "OSProvisioningTimedOut": "OS Provisioning for VM did not finish in the allotted time. The VM may still finish "
    "provisioning "
    "successfully. Please check provisioning state later.",
}
"""What an ordered refusal says when nothing else was ordered."""

THROTTLED = (429, 503)
"""Statuses that come with a Retry-After."""


class ArmError(Exception):
    """A refusal."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        target: str = "",
        details: Sequence[Mapping[str, Any]] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Take what is said; status 0 is the one that the code comes with."""
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.target, self.details = code, message, target, tuple(details)
        self.status = status or STATUSES.get(code, 400)
        self.headers = tuple(headers)

    def body(self) -> dict[str, Any]:
        """Return the `error` object."""
        found: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target:
            found["target"] = self.target
        if self.details:
            found["details"] = [dict(detail) for detail in self.details]
        return found


def group_not_found(name: str) -> ArmError:
    """Return the word that there is no such resource group."""
    return ArmError("ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def not_found(type: str, name: str, group: str) -> ArmError:
    """Return the word that there is no such resource ("Microsoft.Compute/virtualMachines")."""
    text = f"The Resource '{type}/{name}' under resource group '{group}' was not found. For more details please go to "
    return ArmError("ResourceNotFound", f"{text}https://aka.ms/ARMResourceNotFoundFix")


def invalid(target: str, message: str) -> ArmError:
    """Return Compute's refusal of a parameter."""
    return ArmError("InvalidParameter", message, target=target)
