"""The permissions cloudtrain needs in a project, by the methods it calls: what `check` asks for and the page shows."""

from collections.abc import Iterable, Mapping

from ...model.errors import ProviderError
from ...model.finding import Finding
from .rest import Rest

SUBJECT = "permissions"

NEEDED: Mapping[str, tuple[str, ...]] = {
    "cloudbilling.services.skus.list": (),
    "cloudquotas.projects.locations.services.quotaInfos.get": ("cloudquotas.quotas.get",),
    "cloudresourcemanager.projects.testIamPermissions": (),
    "compute.acceleratorTypes.aggregatedList": ("compute.acceleratorTypes.list",),
    "compute.disks.aggregatedList": ("compute.disks.list",),
    "compute.disks.delete": ("compute.disks.delete",),
    "compute.firewalls.delete": ("compute.firewalls.delete", "compute.networks.updatePolicy"),
    "compute.firewalls.insert": ("compute.firewalls.create", "compute.networks.updatePolicy"),
    "compute.firewalls.list": ("compute.firewalls.list",),
    "compute.firewalls.patch": ("compute.firewalls.get", "compute.firewalls.update", "compute.networks.updatePolicy"),
    "compute.globalOperations.wait": ("compute.globalOperations.get",),
    "compute.images.get": ("compute.images.get",),
    "compute.images.getFromFamily": ("compute.images.getFromFamily",),
    "compute.images.list": ("compute.images.list",),
    "compute.instances.aggregatedList": ("compute.instances.list",),
    "compute.instances.delete": ("compute.instances.delete",),
    "compute.instances.get": ("compute.instances.get",),
    "compute.instances.insert": (
        "compute.disks.create",
        "compute.disks.setLabels",
        "compute.images.useReadOnly",
        "compute.instances.create",
        "compute.instances.setLabels",
        "compute.instances.setMetadata",
        "compute.instances.setTags",
        "compute.subnetworks.use",
        "compute.subnetworks.useExternalIp",
    ),
    "compute.instances.setMachineType": ("compute.instances.setMachineType",),
    "compute.instances.setMetadata": ("compute.instances.setMetadata",),
    "compute.instances.setScheduling": ("compute.instances.setScheduling",),
    "compute.instances.start": ("compute.instances.start",),
    "compute.instances.stop": ("compute.instances.stop",),
    "compute.machineTypes.aggregatedList": ("compute.machineTypes.list",),
    "compute.networks.get": ("compute.networks.get",),
    "compute.projects.get": ("compute.projects.get",),
    "compute.regions.get": ("compute.regions.get",),
    "compute.zoneOperations.wait": ("compute.zoneOperations.get",),
}
"""What each of Google's methods that the verbs call asks of who calls it."""

NEEDED_ONCE: Mapping[str, tuple[str, ...]] = {
    "compute.networks.insert": ("compute.networks.create", "compute.subnetworks.create"),
}
"""What `start --create-network` calls beside them."""

NEEDED_FOR_TPUS: Mapping[str, tuple[str, ...]] = {
    "tpu.projects.locations.nodes.get": ("tpu.nodes.get",),
    "tpu.projects.locations.queuedResources.create": ("tpu.nodes.create", "iam.serviceAccounts.actAs"),
    "tpu.projects.locations.queuedResources.delete": ("tpu.nodes.delete",),
    "tpu.projects.locations.queuedResources.get": ("tpu.nodes.get",),
    "tpu.projects.locations.queuedResources.list": ("tpu.nodes.list",),
}
"""What TPU machines call beside them: Google has no permissions for requests of their own (its page of TPU roles, 2026)."""

NEEDED_FOR_DATA: Mapping[str, tuple[str, ...]] = {
    "storage.buckets.get": ("storage.buckets.get",),
    "storage.objects.get": ("storage.objects.get",),
    "storage.objects.list": ("storage.objects.list",),
    "iamcredentials.projects.serviceAccounts.signBlob": ("iam.serviceAccounts.signBlob",),
}
"""What a job whose inputs lie in Cloud Storage calls beside them: on their bucket, and on the service account that signs."""


NEEDED_FOR_CHECKPOINTS: Mapping[str, tuple[str, ...]] = {
    # Whoever gives a machine an account must be allowed to lend it.
    "iam.projects.serviceAccounts.create": ("iam.serviceAccounts.actAs", "iam.serviceAccounts.create"),
    "iam.projects.serviceAccounts.delete": ("iam.serviceAccounts.delete",),
    "iam.projects.serviceAccounts.get": ("iam.serviceAccounts.get",),
    "iam.projects.serviceAccounts.list": ("iam.serviceAccounts.list",),
    "storage.buckets.get": ("storage.buckets.get",),
    "storage.buckets.getIamPolicy": ("storage.buckets.getIamPolicy",),
    "storage.buckets.setIamPolicy": ("storage.buckets.setIamPolicy",),
}
"""What a job with `checkpoints` in Cloud Storage calls beside them: in the project, and on their bucket."""


def of_methods(needed: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the permissions of some methods, each once, in order."""
    return tuple(sorted({permission for permissions in needed.values() for permission in permissions}))


EVERYDAY = of_methods(NEEDED)
"""What every verb together needs. The price catalogue needs none."""


def role(title: str, permissions: Iterable[str]) -> str:
    """Return a role of these permissions as `gcloud iam roles create` reads it."""
    lines = "\n".join(f"- {permission}" for permission in permissions)
    return f"title: {title}\nstage: GA\nincludedPermissions:\n{lines}\n"


def permission_finding(rest: Rest) -> Finding:
    """Say which of the everyday permissions the account lacks in the project. Never raises."""
    try:
        lacking = sorted(set(EVERYDAY) - held(rest, EVERYDAY))
    except ProviderError as error:
        return Finding(False, SUBJECT, f"they cannot be looked at: {error.message}", error.hint or "cloudtrain check gcp")
    if not lacking:
        return Finding(True, SUBJECT, f"all {len(EVERYDAY)} that cloudtrain needs are held")
    return Finding(
        False,
        SUBJECT,
        f"{len(lacking)} of {len(EVERYDAY)} are not held: {', '.join(lacking)}",
        "Let whoever administers the project give the role in docs/providers/gcp.md",
    )


def held(rest: Rest, permissions: Iterable[str]) -> set[str]:
    """Return which of some permissions the account has in the project.

    Raises:
        ProviderError: Google refused or did not answer.
    """
    reply = rest.call(
        "cloudresourcemanager.projects.testIamPermissions",
        "POST",
        f"projects/{rest.project}:testIamPermissions",
        body={"permissions": sorted(permissions)},
    )
    return set(reply.get("permissions", ()))
