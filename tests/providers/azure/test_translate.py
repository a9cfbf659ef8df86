"""Azure's words in ours: the whole table of what is refused, and what a person reads of it."""

import pytest

from cloudtrain.model.errors import (
    CredentialsError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.providers.azure.translate import (
    MEANINGS,
    RefusedError,
    Retry,
    code_of,
    failed,
    is_absent,
    is_unanswered,
    meaning_of,
    refused,
    status_of,
    unregistered,
)

ACT, PATH = "Microsoft.Compute/virtualMachines/write", "/subscriptions/s/resourceGroups/g"
TABLE = {
    (NoCapacityError, Retry.ELSEWHERE): (
        "AllocationFailed ZonalAllocationFailed OverconstrainedAllocationRequest OverconstrainedZonalAllocationRequest"
        " SkuNotAvailable SpotPriceGreaterThanProvidedMaxPrice AzureSpotIsNotSupportedForThisVMSize OSProvisioningTimedOut"
        " VMExtensionProvisioningError LocationNotAvailableForResourceGroup"
    ),
    (QuotaExceededError, Retry.OTHER_REGION): "QuotaExceeded ResourceQuotaExceeded PublicIPCountLimitReached",
    (PermissionDeniedError, Retry.NEVER): (
        "AuthorizationFailed LinkedAuthorizationFailed ReadOnlyDisabledSubscription MissingSubscriptionRegistration"
        " RequestDisallowedByPolicy ScopeLocked AzureSpotFeatureNotEnabledForSubscription MarketplacePurchaseEligibilityFailed"
    ),
    (CredentialsError, Retry.NEVER): (
        "ClientAuthenticationError InvalidAuthenticationToken ExpiredAuthenticationToken AuthenticationFailed"
        " SubscriptionNotFound"
    ),
    (ProviderUnavailableError, Retry.LATER): (
        "TooManyRequests SubscriptionRequestsThrottled OperationPreempted RetryableError InternalServerError ServerTimeout"
    ),
    (ProviderError, Retry.LATER): "NicInUse PublicIPAddressCannotBeDeleted InUseNetworkSecurityGroupCannotBeDeleted",
    (ProviderError, Retry.GONE): "ResourceNotFound ResourceGroupNotFound",
    (ProviderError, Retry.NEVER): "InvalidParameter OperationNotAllowed MaxPriceValueInvalid PlatformImageNotFound",
}
CODES = [(code, kind, retry) for (kind, retry), codes in TABLE.items() for code in codes.split()]
QUOTA = (
    "Operation could not be completed as it results in exceeding approved {which} quota. Additional details - Deployment "
    "Model: Resource Manager, Location: eastus, Current Limit: {limit}, Current Usage: 4, Additional Required: 8, "
    "(Minimum) New Limit Required: 12. Submit a request for Quota increase at https://aka.ms/x"
)


def said(code: str, message: str = "so it is", status: int = 409) -> ProviderError:
    return refused(ACT, PATH, status, {"error": {"code": code, "message": message}})


@pytest.mark.parametrize(("code", "kind", "retry"), CODES)
def test_every_code_has_its_kind_its_advice_and_what_may_help(code: str, kind: type[ProviderError], retry: Retry) -> None:
    for error in (said(code), failed(ACT, PATH, {"code": code, "message": "so it is"})):
        assert type(error) is kind
        assert error.hint
        assert "{" not in error.hint
        assert f"({code})" in error.message
        assert isinstance(error.__cause__, RefusedError)
        assert meaning_of(error.__cause__).retry is retry
        assert code_of(error) == code


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_no_advice_has_a_blank_left_in_it(code: str) -> None:
    assert "{" not in said(code).hint


@pytest.mark.parametrize(
    ("which", "limit", "words"),
    [
        ("standardNCASv3_T4Family Cores", 4, "the quota standardNCASv3_T4Family Cores has 4 vCPU, 4 in use, and 8 more"),
        ("Total Regional Cores", 10, "the quota Total Regional Cores has 10 vCPU"),
        (
            "LowPriorityCores",
            0,
            "the quota LowPriorityCores has 0 vCPU, 4 in use, and 8 more are needed: this subscription never",
        ),
    ],
)
def test_operation_not_allowed_is_a_quota_where_its_words_say_so(which: str, limit: int, words: str) -> None:
    error = said("OperationNotAllowed", QUOTA.format(which=which, limit=limit))
    assert type(error) is QuotaExceededError
    assert words in error.message
    assert "--location eastus" in error.hint


def test_operation_not_allowed_for_another_reason_is_no_quota() -> None:
    error = said("OperationNotAllowed", "Cannot resize a running machine to this size.")
    assert type(error) is ProviderError


def test_a_size_that_a_region_has_not_is_no_capacity_and_another_wrong_parameter_is_ours() -> None:
    text = "The value Standard_ND96 provided for the parameter vmSize is not available in location 'eastus'"
    assert type(said("InvalidParameter", text, 400)) is NoCapacityError
    assert type(said("InvalidParameter", "adminUsername is empty", 400)) is ProviderError


def test_what_is_denied_is_named() -> None:
    text = (
        "The client 'x' with object id 'y' does not have authorization to perform action "
        "'Microsoft.Compute/virtualMachines/write' over scope '/subscriptions/s' or the scope is invalid."
    )
    error = said("AuthorizationFailed", text, 403)
    assert "may not do Microsoft.Compute/virtualMachines/write on /subscriptions/s" in error.message


def test_the_innermost_error_of_several_counts() -> None:
    inner = {"code": "ZonalAllocationFailed", "message": "no room in zone 1"}
    error = refused(ACT, PATH, 400, {"error": {"code": "DeploymentFailed", "message": "look inside", "details": [inner]}})
    assert type(error) is NoCapacityError
    assert "no room in zone 1" in error.message


def test_of_a_code_that_nobody_knows_something_may_exist() -> None:
    error = said("SomethingNew", status=409)
    assert type(error) is ProviderError
    assert "Something may exist there all the same" in error.message
    assert "cloudtrain sweep" in error.hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, CredentialsError), (403, PermissionDeniedError), (429, ProviderUnavailableError), (503, ProviderUnavailableError)],
)
def test_an_answer_without_a_code_goes_by_its_status(status: int, kind: type[ProviderError]) -> None:
    error = refused(ACT, PATH, status, {})
    assert type(error) is kind
    assert status_of(error) == status


def test_only_what_azure_says_is_not_there_is_absent() -> None:
    assert is_absent(said("ResourceGroupNotFound", status=404))
    assert is_absent(refused(ACT, PATH, 404, {}))
    assert not is_absent(said("SubscriptionNotFound", status=404))
    assert not is_absent(said("ResourceGroupNotFound", status=409))
    assert not is_absent(ProviderUnavailableError("no answer"))


def test_silence_is_told_from_a_refusal() -> None:
    assert is_unanswered(ProviderUnavailableError("no answer"))
    assert not is_unanswered(said("TooManyRequests", status=429))


def test_the_resource_provider_to_register_is_read_from_the_words() -> None:
    text = "The subscription is not registered to use namespace 'Microsoft.DevTestLab'. See https://aka.ms/rps-not-found"
    reply = {"error": {"code": "MissingSubscriptionRegistration", "message": text}}
    assert unregistered(409, reply) == "Microsoft.DevTestLab"
    assert unregistered(409, {"error": {"code": "Conflict", "message": text}}) == ""
    assert refused(ACT, PATH, 409, reply).__class__ is PermissionDeniedError
