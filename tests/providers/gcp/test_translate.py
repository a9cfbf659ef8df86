"""Google's words in ours: the table, in the forms in which Google says them."""

import pytest

from cloudtrain.model.errors import (
    CloudQuotaExceededError,
    CredentialsError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.providers.gcp.translate import (
    MEANINGS,
    Retry,
    code_of,
    failed,
    is_absent,
    is_passing,
    is_unanswered,
    meaning_of,
    refused,
    status_of,
)

INSERT, PATH = "compute.instances.insert", "projects/my-project/zones/us-central1-a/instances"


def said(status: int, reason: str, message: str = "no", *details: dict, grpc: str = "") -> ProviderError:
    """Return what becomes of an answer in the form of HTTP's errors."""
    body = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}], "details": list(details)}
    return refused(INSERT, PATH, status, {"error": body | ({"status": grpc} if grpc else {})})


def ended(code: str, message: str = "no", *details: dict, method_id: str = INSERT) -> ProviderError:
    """Return what becomes of an operation that ended with an error."""
    error = {"code": code, "message": message, "errorDetails": list(details)}
    made = failed(method_id, PATH, {"error": {"errors": [error]}, "httpErrorStatusCode": 403})
    assert made is not None
    return made


# cloud-facts §5.2, line by line.
LATER = [
    ("ZONE_RESOURCE_POOL_EXHAUSTED", NoCapacityError, Retry.ELSEWHERE),
    ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", NoCapacityError, Retry.ELSEWHERE),
    ("IP_SPACE_EXHAUSTED", NoCapacityError, Retry.ELSEWHERE),
    ("IP_SPACE_EXHAUSTED_WITH_DETAILS", NoCapacityError, Retry.ELSEWHERE),
    ("insufficientCapacity", NoCapacityError, Retry.ELSEWHERE),
    ("stockout", NoCapacityError, Retry.ELSEWHERE),
    ("QUOTA_EXCEEDED", QuotaExceededError, Retry.OTHER_REGION),
    ("UNSUPPORTED_OPERATION", NoCapacityError, Retry.ELSEWHERE),
    ("RESOURCE_NOT_FOUND", NoCapacityError, Retry.ELSEWHERE),
    ("RESOURCE_NOT_READY", NoCapacityError, Retry.ELSEWHERE),
    ("RESOURCE_OPERATION_RATE_EXCEEDED", ProviderUnavailableError, Retry.LATER),
    ("PERMISSIONS_ERROR", PermissionDeniedError, Retry.NEVER),
]
AT_ONCE = [
    (403, "quotaExceeded", QuotaExceededError, Retry.OTHER_REGION),
    (403, "rateLimitExceeded", ProviderUnavailableError, Retry.LATER),
    (429, "whatever", ProviderUnavailableError, Retry.LATER),
    (503, "backendError", ProviderUnavailableError, Retry.LATER),
    (500, "whatever", ProviderUnavailableError, Retry.LATER),
    (403, "forbidden", PermissionDeniedError, Retry.NEVER),
    (403, "accessNotConfigured", PermissionDeniedError, Retry.NEVER),
    (401, "authError", CredentialsError, Retry.NEVER),
    (401, "whatever", CredentialsError, Retry.NEVER),
    (400, "invalid", ProviderError, Retry.NEVER),
    (412, "conditionNotMet", ProviderError, Retry.NEVER),
    (404, "notFound", ProviderError, Retry.GONE),
    (409, "alreadyExists", ProviderError, Retry.NEVER),
]


@pytest.mark.parametrize(("code", "kind", "retry"), LATER)
def test_what_an_operation_ended_with(code: str, kind: type[ProviderError], retry: Retry) -> None:
    error = ended(code)
    assert (type(error), meaning_of(error.__cause__).retry, code_of(error)) == (kind, retry, code)


@pytest.mark.parametrize(("status", "reason", "kind", "retry"), AT_ONCE)
def test_what_a_call_was_refused_with(status: int, reason: str, kind: type[ProviderError], retry: Retry) -> None:
    error = said(status, reason)
    assert (type(error), meaning_of(error.__cause__).retry, status_of(error)) == (kind, retry, status)
    assert is_passing(error) == (retry is Retry.LATER)
    assert not is_unanswered(error)


def test_an_operation_that_went_well_is_no_error() -> None:
    assert failed(INSERT, PATH, {"status": "DONE"}) is None


@pytest.mark.parametrize("code", ["UNSUPPORTED_OPERATION", "RESOURCE_NOT_FOUND", "RESOURCE_NOT_READY"])
def test_what_means_no_room_at_a_launch_means_none_elsewhere(code: str) -> None:
    error = ended(code, method_id="compute.instances.setMachineType")
    assert type(error) is ProviderError


def test_the_most_precise_code_counts() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}
    service = info | {"metadata": {"service": "compute.googleapis.com"}}
    error = said(403, "forbidden", "Compute Engine API has not been used", service, grpc="PERMISSION_DENIED")
    assert code_of(error) == "SERVICE_DISABLED"
    assert error.hint == "Switch it on: gcloud services enable compute.googleapis.com --project my-project"


def test_a_disabled_service_that_says_no_more_is_the_one_that_was_asked() -> None:
    assert said(403, "accessNotConfigured").hint.startswith("Switch it on: gcloud services enable compute.googleapis.com")


def test_billing_that_is_off_has_a_link() -> None:
    error = said(403, "forbidden", "billing", {"reason": "BILLING_DISABLED"})
    assert isinstance(error, PermissionDeniedError)
    assert "linkedaccount?project=my-project" in error.hint


@pytest.mark.parametrize(
    "message",
    [
        "Required 'compute.instances.create' permission for 'projects/my-project/zones/us-central1-a/instances/x'",
        "Permission 'compute.instances.create' denied on resource 'projects/my-project' (or it may not exist).",
    ],
)
def test_a_missing_permission_is_named(message: str) -> None:
    error = said(403, "forbidden", message)
    assert "the account may not do compute.instances.create on projects/my-project" in error.message
    assert "docs/providers/gcp.md" in error.hint


def test_a_missing_permission_in_the_details_is_named() -> None:
    details = {"reason": "IAM_PERMISSION_DENIED", "metadata": {"permission": "storage.objects.list"}}
    assert "the account may not do storage.objects.list" in said(403, "forbidden", "no", details).message


def test_a_quota_of_a_region_names_metric_and_region() -> None:
    error = ended("QUOTA_EXCEEDED", "Quota 'NVIDIA_L4_GPUS' exceeded.  Limit: 0.0 in region us-central1.")
    assert "quotas?project=my-project (filter: NVIDIA_L4_GPUS us-central1)" in error.hint
    assert "compute.instances.insert in us-central1-a: Quota 'NVIDIA_L4_GPUS' exceeded. Limit: 0.0" in error.message


@pytest.mark.parametrize(
    ("message", "details"),
    [
        ("Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally.", {}),
        ("Quota exceeded.", {"quotaInfo": {"metricName": "GPUS-ALL-REGIONS-per-project"}}),
    ],
)
def test_a_quota_of_every_region_puts_the_cloud_out(message: str, details: dict) -> None:
    error = ended("QUOTA_EXCEEDED", message, details)
    assert isinstance(error, CloudQuotaExceededError)
    assert meaning_of(error.__cause__).retry is Retry.OTHER_CLOUD
    assert "It holds for the project in every region" in error.hint
    assert "iam-admin/quotas?project=my-project" in error.hint


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value for field 'resource.machineType': 'x'. Machine type with name 'x' does not exist in zone 'z'.",
        "The resource 'projects/my-project/zones/us-central1-a/acceleratorTypes/nvidia-l4' was not found",
    ],
)
def test_a_type_that_a_zone_has_not_is_no_capacity(message: str) -> None:
    assert isinstance(said(400, "invalid", message), NoCapacityError)


def test_what_the_organisation_forbids_says_so() -> None:
    error = said(412, "conditionNotMet", "Constraint constraints/compute.vmExternalIpAccess violated for project 1.")
    assert isinstance(error, PermissionDeniedError)
    assert "orgpolicies?project=my-project" in error.hint


@pytest.mark.parametrize(
    ("number", "kind"), [(3, NoCapacityError), (8, NoCapacityError), (9, NoCapacityError), (7, ProviderError)]
)
def test_what_a_queued_tpu_ended_with(number: int, kind: type[ProviderError]) -> None:
    error = failed(
        "tpu.queuedResources.create", "projects/p/locations/us-central1-a", {"error": {"code": number, "message": "x"}}
    )
    assert type(error) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 4, "message": "The request has expired."}, NoCapacityError),
        ({"code": 8, "message": "Quota 'TPUV5s' exhausted. Limit 0 in region us-west4"}, QuotaExceededError),
        (
            {"code": 8, "message": "no", "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure"}]},
            QuotaExceededError,
        ),
    ],
)
def test_a_tpu_that_is_not_to_be_had_is_told_from_one_that_is_not_allowed(error: dict, kind: type[ProviderError]) -> None:
    made = failed("tpu.projects.locations.queuedResources.create", "projects/p/locations/us-west4-a", {"error": error})
    assert type(made) is kind


def test_a_tpu_service_that_says_at_once_that_it_has_none_is_not_asked_again() -> None:
    def asked(message: str) -> ProviderError:
        body = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}
        return refused("tpu.projects.locations.queuedResources.create", "projects/p/locations/us-west4-a", 429, {"error": body})

    assert type(asked("There is no more capacity in the zone")) is NoCapacityError
    assert type(asked("Quota limit 'TPUV6EPerProjectPerZone' has been exceeded")) is QuotaExceededError
    assert not is_passing(asked("There is no more capacity in the zone"))


@pytest.mark.parametrize("error", [said(400, "brandNewTrouble"), ended("BRAND_NEW_TROUBLE")])
def test_a_code_nobody_knows_means_that_something_may_exist(error: ProviderError) -> None:
    assert type(error) is ProviderError
    assert "Something may exist there all the same" in error.message
    assert "cloudtrain sweep" in error.hint


@pytest.mark.parametrize("reply", [{}, {"error": {}}, {"error": "invalid_grant", "error_description": "gone"}])
def test_an_error_without_words_is_one_all_the_same(reply: dict) -> None:
    assert isinstance(refused(INSERT, PATH, 400, reply), ProviderError)
    assert is_absent(refused(INSERT, PATH, 404, reply))


def test_an_error_of_ours_has_no_code() -> None:
    error = ProviderUnavailableError("no line")
    assert (code_of(error), status_of(error), is_unanswered(error), is_passing(error)) == ("", 0, True, True)


def test_every_row_of_the_table_says_what_to_do_but_the_ones_that_are_read_elsewhere() -> None:
    assert all(meaning.advice for meaning in MEANINGS.values())
    assert len(MEANINGS) > 50
