"""What can go wrong at each cloud, for the matrices of faults: its calls, its codes, and how it stumbles for a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cloudtrain.providers.aws import translate as aws
from cloudtrain.providers.azure import translate as azure
from cloudtrain.providers.gcp import translate as gcp


@dataclass(frozen=True)
class Faulted:
    """One cloud's.

    Attributes:
        meanings: every code of its table.
        denial, busy: a code that says no for good, and one that says later. no_room: one that says no for this place.
        gone: one that says that there is no such machine.
        finals: codes that no other place would cure.
        gpu_quota: the limit, by its name there, that a machine with T4s meets.
        moments: what is over when the call is repeated, as `Faults.add` takes it.
        done: codes by which a call says that it has been done before, which is as good as done.
        launch: the calls of a launch. spare: those of them that it does without, because something else ends the machine.
        verbs: all that a verb on a machine calls, each once.
        looks: the calls of `status`. found_by: those by which a verb finds its machine.
        moved_by: by how much `extend` may move a deadline there.
    """

    meanings: Mapping[str, Any]
    denial: str
    busy: str
    no_room: str
    gone: str
    finals: tuple[str, ...]
    gpu_quota: str
    moments: Mapping[str, Mapping[str, Any]]
    launch: tuple[str, ...]
    spare: tuple[str, ...]
    verbs: Mapping[str, tuple[str, ...]]
    looks: tuple[str, ...]
    found_by: tuple[str, ...]
    moved_by: timedelta = timedelta(hours=1)
    done: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


RESETS: Mapping[str, Mapping[str, Any]] = {"reset before": {"reset": True}, "reset after": {"reset": True, "after": True}}

AWS = Faulted(
    aws.MEANINGS,
    "UnauthorizedOperation",
    "Unavailable",
    "InsufficientInstanceCapacity",
    "InvalidInstanceID.NotFound",
    ("UnauthorizedOperation", "PendingVerification", "ExpiredToken"),
    "L-DB2E81BA",
    {
        "throttled": {"code": "RequestLimitExceeded"},
        "server error": {"code": "InternalError", "http": 500},
        **RESETS,
        "reply lost": {"code": "ServiceUnavailable", "http": 503, "after": True},
    },
    launch=(
        "ec2:DescribeInstances",
        "ssm:GetParameters",
        "ec2:DescribeImages",
        "ec2:DescribeSubnets",
        "ec2:CreateSecurityGroup",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RunInstances",
        "scheduler:CreateSchedule",
        "scheduler:GetSchedule",
    ),
    spare=("scheduler:CreateSchedule", "scheduler:GetSchedule"),
    verbs={
        "stop": ("ec2:DescribeInstances", "scheduler:DeleteSchedule", "ec2:StopInstances"),
        "terminate": (
            "ec2:DescribeInstances",
            "ec2:TerminateInstances",
            "scheduler:DeleteSchedule",
            "ec2:DescribeSecurityGroups",
            "ec2:DeleteSecurityGroup",
        ),
        "extend": (
            "ec2:DescribeInstances",
            "scheduler:CreateSchedule",
            "scheduler:UpdateSchedule",
            "scheduler:GetSchedule",
            "ec2:CreateTags",
        ),
        "resize": (
            "ec2:DescribeInstances",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstanceTypeOfferings",
            "pricing:GetProducts",
            "scheduler:DeleteSchedule",
            "ec2:StopInstances",
            "ec2:ModifyInstanceAttribute",
            "ec2:CreateTags",
        ),
        "start again": (
            "ec2:DescribeInstances",
            "ec2:DescribeSecurityGroups",
            "ec2:ModifyInstanceAttribute",
            "scheduler:CreateSchedule",
            "scheduler:GetSchedule",
            "ec2:CreateTags",
            "ec2:StartInstances",
        ),
    },
    looks=(
        "ec2:DescribeInstances",
        "ec2:DescribeVolumes",
        "ec2:DescribeSecurityGroups",
        "scheduler:ListSchedules",
        "iam:ListRoles",
    ),
    found_by=("ec2:DescribeInstances",),
    done={"ec2:AuthorizeSecurityGroupIngress": ("InvalidPermission.Duplicate",)},
)

GCP = Faulted(
    gcp.MEANINGS,
    "forbidden",
    "backendError",
    "ZONE_RESOURCE_POOL_EXHAUSTED",
    "notFound",
    ("forbidden", "authError", "accessNotConfigured"),
    "NVIDIA_T4_GPUS",
    {
        "throttled": {"code": "rateLimitExceeded"},
        "server error": {"code": "backendError", "http": 503},
        **RESETS,
        "reply lost": {"code": "backendError", "http": 503, "after": True},
    },
    launch=(
        "compute.instances.aggregatedList",
        "compute.images.getFromFamily",
        "compute.networks.get",
        "compute.firewalls.insert",
        "compute.globalOperations.wait",
        "compute.instances.insert",
        "compute.zoneOperations.wait",
        "compute.instances.get",
    ),
    spare=(),
    verbs={
        "stop": ("compute.instances.get", "compute.instances.stop"),
        "terminate": (
            "compute.instances.get",
            "compute.instances.aggregatedList",
            "compute.instances.delete",
            "compute.firewalls.list",
            "compute.firewalls.delete",
        ),
        "extend": ("compute.instances.get", "compute.instances.setMetadata", "compute.zoneOperations.wait"),
        "resize": (
            "compute.instances.get",
            "compute.machineTypes.aggregatedList",
            "compute.instances.stop",
            "compute.instances.setMachineType",
            "compute.zoneOperations.wait",
            "compute.instances.setMetadata",
        ),
        "start again": (
            "compute.instances.get",
            "compute.instances.setMetadata",
            "compute.firewalls.list",
            "compute.zoneOperations.wait",
            "compute.instances.setScheduling",
            "compute.instances.start",
        ),
    },
    looks=("compute.instances.aggregatedList", "compute.firewalls.list", "compute.disks.aggregatedList"),
    found_by=("compute.instances.get",),
    moved_by=timedelta(minutes=-2),
    # A second look finds it in the list of all zones.
    done={"compute.instances.get": tuple(code for code, meaning in gcp.MEANINGS.items() if meaning is gcp.ABSENT)},
)

_LOOK = (
    "Microsoft.Resources:resourceGroups/GET",
    "Microsoft.Compute:virtualMachines/GET",
    "Microsoft.Network:publicIPAddresses/GET",
)
_ARM = (
    "Microsoft.Authorization:roleAssignments/PUT",
    "Microsoft.ComputeSchedule:locations/virtualMachinesSubmitDeallocate",
    "Microsoft.ComputeSchedule:locations/virtualMachinesGetOperationStatus",
)
_DAILY = ("Microsoft.DevTestLab:schedules/PUT", "Microsoft.DevTestLab:schedules/GET")
_CANCEL = "Microsoft.ComputeSchedule:locations/virtualMachinesCancelOperations"

_ABSENT = tuple(code for code, meaning in azure.MEANINGS.items() if meaning is azure.ABSENT)

AZURE = Faulted(
    azure.MEANINGS,
    "AuthorizationFailed",
    "ServiceUnavailable",
    "AllocationFailed",
    "ResourceNotFound",
    ("AuthorizationFailed", "RequestDisallowedByPolicy", "ReadOnlyDisabledSubscription"),
    "standardNCASv3_T4Family",
    {
        "throttled": {"code": "TooManyRequests", "http": 429},
        "server error": {"code": "InternalServerError", "http": 500},
        **RESETS,
        "reply lost": {"code": "ServiceUnavailable", "http": 503, "after": True},
    },
    launch=(
        *_LOOK,
        "Microsoft.Compute:locations/publishers/artifacttypes/offers/skus/versions/LIST",
        "Microsoft.Compute:locations/publishers/artifacttypes/offers/skus/versions/GET",
        "Microsoft.Authorization:roleDefinitions/GET",
        "Microsoft.Resources:resourceGroups/PUT",
        "Microsoft.Network:networkSecurityGroups/PUT",
        "Microsoft.Network:publicIPAddresses/PUT",
        "Microsoft.Network:virtualNetworks/PUT",
        "Microsoft.Network:networkInterfaces/PUT",
        "Microsoft.Compute:virtualMachines/PUT",
        "Microsoft.Resources:locations/operations/GET",
        *_ARM,
        "Microsoft.Resources:resourceGroups/PATCH",
    ),
    spare=("Microsoft.Authorization:roleDefinitions/GET", *_ARM),
    verbs={
        "stop": (*_LOOK, "Microsoft.Compute:virtualMachines/deallocate"),
        "terminate": (*_LOOK, "Microsoft.Resources:resourceGroups/LIST", "Microsoft.Resources:resourceGroups/DELETE"),
        "extend": (*_LOOK, *_ARM, *_DAILY, _CANCEL, "Microsoft.Resources:resourceGroups/PATCH"),
        "resize": (
            *_LOOK,
            "Retail:prices/LIST",
            "Microsoft.Compute:skus/LIST",
            "Microsoft.Compute:virtualMachines/deallocate",
            "Microsoft.Compute:virtualMachines/PATCH",
            "Microsoft.Resources:locations/operations/GET",
            "Microsoft.Resources:resourceGroups/PATCH",
        ),
        "start again": (
            *_LOOK,
            "Microsoft.Network:networkSecurityGroups/GET",
            "Microsoft.Compute:virtualMachines/PATCH",
            "Microsoft.Resources:locations/operations/GET",
            *_ARM,
            *_DAILY,
            _CANCEL,
            "Microsoft.Resources:resourceGroups/PATCH",
            "Microsoft.Compute:virtualMachines/start",
        ),
    },
    looks=(
        "Microsoft.Resources:resourceGroups/LIST",
        "Microsoft.Compute:virtualMachines/LIST",
        "Microsoft.Network:publicIPAddresses/LIST",
    ),
    found_by=_LOOK,
    # A second look finds the group in a list, and that a machine has no address yet is no reason to have no machine.
    done={
        "Microsoft.Resources:resourceGroups/GET": _ABSENT,
        "Microsoft.Network:publicIPAddresses/GET": _ABSENT,
    },
)

FAULTED: Mapping[str, Faulted] = {"aws": AWS, "gcp": GCP, "azure": AZURE}
