"""Which clouds can be pretended, and what a terminal has to know to talk to each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Play:
    """One cloud.

    Attributes:
        machine: the machine config that its examples start.
        load: returns the class of the cloud. Raises ImportError: what it needs is not installed.
        exports: what the environment has to say of a cloud.
    """

    name: str
    machine: str
    load: Callable[[], Any]
    exports: Callable[[Any], Mapping[str, str]]


def _aws() -> Any:
    from .aws import AwsCloud

    return AwsCloud


def _aws_exports(cloud: Any) -> Mapping[str, str]:
    return {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": "playground",
        "AWS_SECRET_ACCESS_KEY": "playground",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _gcp() -> Any:
    from .gcp import GcpCloud

    return GcpCloud


def _gcp_exports(cloud: Any) -> Mapping[str, str]:
    # Every service that cloudtrain or a person's gcloud may call, so that none is called where it really is.
    below = {
        "COMPUTE": "/compute/v1/",
        "STORAGE": "/storage/v1/",
        "CLOUDBILLING": "/",
        "CLOUDQUOTAS": "/",
        "CLOUDRESOURCEMANAGER": "/",
        "IAM": "/",
        "IAMCREDENTIALS": "/",
        "SERVICEUSAGE": "/",
        "TPU": "/",
    }
    return {
        **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": f"{cloud.url}{path}" for name, path in below.items()},
        "CLOUDSDK_AUTH_ACCESS_TOKEN": "playground",
        "CLOUDSDK_CORE_PROJECT": "cloudtrain-playground",
        "GOOGLE_CLOUD_PROJECT": "cloudtrain-playground",
    }


def _azure() -> Any:
    from .azure import AzureCloud, pace_as_azure

    return lambda hypervisor, port: pace_as_azure(AzureCloud(hypervisor, port=port))


def _azure_exports(cloud: Any) -> Mapping[str, str]:
    return {
        "AZURE_AUTHORITY_HOST": cloud.url,
        "AZURE_TENANT_ID": cloud.account.tenant,
        "AZURE_CLIENT_ID": cloud.account.client,
        "AZURE_CLIENT_SECRET": "playground",
        "AZURE_SUBSCRIPTION_ID": cloud.subscription,
        "CLOUDTRAIN_RESOURCE_MANAGER_URL": cloud.url,
        "CLOUDTRAIN_AZURE_PRICES_URL": cloud.prices_url,
        # Azure's libraries read the first, Python's own the second.
        "REQUESTS_CA_BUNDLE": str(cloud.certificate),
        "SSL_CERT_FILE": str(cloud.certificate),
    }


PLAYS = {
    "aws": Play("AWS", "aws-g4dn", _aws, _aws_exports),
    "azure": Play("Azure", "azure-t4", _azure, _azure_exports),
    "gcp": Play("Google Cloud", "gcp-l4", _gcp, _gcp_exports),
}
