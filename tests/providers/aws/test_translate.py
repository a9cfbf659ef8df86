import pytest
from botocore import exceptions as sdk

from cloudtrain.model.errors import (
    CredentialsError,
    InstanceNotFoundError,
    NoCapacityError,
    NotSetUpError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.providers.aws.translate import MEANINGS, calling, code_of, is_not_opted_in, retry_of
from cloudtrain.providers.meaning import Retry

ROWS = {
    "InsufficientInstanceCapacity InsufficientHostCapacity UnfulfillableCapacity SpotMaxPriceTooLow"
    " InsufficientReservedInstanceCapacity": (NoCapacityError, Retry.ELSEWHERE, "cloudtrain offers"),
    "VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded MaxSpotFleetRequestCountExceeded": (
        QuotaExceededError,
        Retry.OTHER_REGION,
        "aws service-quotas request-service-quota-increase --service-code ec2 --region eu-west-1 --quota-code L-1",
    ),
    "VolumeLimitExceeded AddressLimitExceeded": (QuotaExceededError, Retry.OTHER_REGION, "aws service-quotas list"),
    "InsufficientFreeAddressesInSubnet": (NoCapacityError, Retry.ELSEWHERE, "zone"),
    "Unsupported InvalidInstanceType InvalidInstanceType.NotSupported": (NoCapacityError, Retry.ELSEWHERE, "zone"),
    "UnauthorizedOperation AccessDenied AccessDeniedException": (PermissionDeniedError, Retry.NEVER, "docs/providers/aws.md"),
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": (
        PermissionDeniedError,
        Retry.NEVER,
        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    ),
    "AuthFailure InvalidClientTokenId ExpiredToken ExpiredTokenException RequestExpired SignatureDoesNotMatch"
    " MissingAuthenticationToken": (CredentialsError, Retry.NEVER, "aws configure"),
    "OptInRequired": (PermissionDeniedError, Retry.NEVER, "https://console.aws.amazon.com"),
    "PendingVerification Blocked AccountProblem": (PermissionDeniedError, Retry.NEVER, "https://console.aws.amazon.com"),
    "InvalidAMIID.NotFound InvalidBlockDeviceMapping InvalidKeyPair.NotFound InvalidParameterValue"
    " InvalidParameterCombination IdempotentParameterMismatch InvalidUserData.Malformed": (
        ProviderError,
        Retry.NEVER,
        "machine config",
    ),
    "RequestLimitExceeded Throttling EC2ThrottledException ServiceUnavailable InternalError Unavailable ServerInternal": (
        ProviderUnavailableError,
        Retry.LATER,
        "again",
    ),
    "InvalidInstanceID.NotFound": (InstanceNotFoundError, Retry.GONE, "cloudtrain status"),
}
"""The table of what AWS says and what we make of it: kind, what may help, and a part of the line to type next."""


def refused(code: str, message: str = "no", status: int = 400) -> ProviderError:
    reply = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return raised(sdk.ClientError(reply, "RunInstances"))


def raised(error: Exception) -> ProviderError:
    with pytest.raises(ProviderError) as caught, calling("eu-west-1", quota="L-1"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(("code", "row"), [(code, row) for codes, row in ROWS.items() for code in codes.split()])
def test_every_row_of_the_table(code: str, row: tuple) -> None:
    kind, retry, hint = row
    error = refused(code)
    assert type(error) is kind
    assert retry_of(error) is retry
    assert hint in error.hint
    assert "{" not in error.hint
    assert error.message == f"RunInstances in eu-west-1: no ({code})"
    assert code_of(error) == code


def test_every_code_has_a_next_step_or_is_told_to_be_ours() -> None:
    assert [code for code, meaning in MEANINGS.items() if not meaning.advice] == []


def test_a_type_that_a_zone_does_not_have_may_be_elsewhere() -> None:
    said = "Your requested instance type (p3.2xlarge) is not supported in your requested Availability Zone (us-east-1e)."
    assert type(refused("InvalidParameterCombination", said)) is NoCapacityError
    assert type(refused("InvalidParameterCombination", "Two of these cannot be used together")) is ProviderError


def test_an_unknown_code_says_that_something_may_exist() -> None:
    error = refused("BrandNewTrouble")
    assert type(error) is ProviderError
    assert "may exist" in error.message
    assert "cloudtrain sweep" in error.hint
    assert retry_of(error) is None


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_unknown_code_with_a_servers_status_is_trouble_of_the_moment(status: int) -> None:
    error = refused("BrandNewTrouble", status=status)
    assert type(error) is ProviderUnavailableError
    assert retry_of(error) is Retry.LATER


def test_what_was_denied_is_named_and_the_encoded_rest_left_out() -> None:
    said = (
        "You are not authorized to perform this operation. User: arn:aws:iam::1:user/a is not authorized to perform: "
        "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:1:volume/* because no identity-based policy allows the "
        "ec2:CreateTags action. Encoded authorization failure message: AbCdEf"
    )
    error = refused("UnauthorizedOperation", said, 403)
    assert "may not do ec2:CreateTags on arn:aws:ec2:us-east-1:1:volume/*" in error.message
    assert "AbCdEf" not in str(error)


def test_no_credentials_is_told_apart_from_bad_ones() -> None:
    assert type(raised(sdk.NoCredentialsError())) is NotSetUpError
    for bad in (sdk.ProfileNotFound(profile="x"), sdk.PartialCredentialsError(provider="env", cred_var="x")):
        error = raised(bad)
        assert type(error) is CredentialsError
        assert "aws configure" in error.hint


@pytest.mark.parametrize(
    "silence",
    [
        sdk.EndpointConnectionError(endpoint_url="http://x"),
        sdk.ConnectTimeoutError(endpoint_url="http://x"),
        sdk.ReadTimeoutError(endpoint_url="http://x"),
        sdk.ConnectionClosedError(endpoint_url="http://x"),
    ],
)
def test_silence_is_unavailable_and_may_be_asked_again(silence: Exception) -> None:
    error = raised(silence)
    assert type(error) is ProviderUnavailableError
    assert "eu-west-1" in error.message
    assert (code_of(error), retry_of(error)) == ("", Retry.LATER)


def test_a_request_that_the_sdk_refuses_to_send_is_our_mistake() -> None:
    assert "was not asked" in raised(sdk.ParamValidationError(report="x")).message


def test_errors_of_ours_and_of_programming_pass_unchanged() -> None:
    for error in (NoCapacityError("x"), KeyError("x")):
        with pytest.raises(type(error)) as caught, calling():
            raise error
        assert caught.value is error


def test_a_region_that_is_not_switched_on_is_known_by_its_refusal() -> None:
    assert is_not_opted_in(refused("AuthFailure"))
    assert is_not_opted_in(refused("OptInRequired"))
    assert not is_not_opted_in(refused("UnauthorizedOperation"))
