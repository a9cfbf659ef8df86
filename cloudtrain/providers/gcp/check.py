"""A look at Google Cloud before money: login, project, services, permissions, quota. Nothing here is billed or made."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ...model.errors import CloudtrainError, ProviderError
from ...model.finding import Finding
from ...model.offer import Offer
from ...model.spec import MachineSpec, Market
from ..base import ProviderSettings
from ..extras import credentials_finding, sdk_finding
from .billing import COMPUTE_ENGINE, CPU_IMAGE_GIB, GPU_IMAGE_GIB
from .credentials import LOGIN, Login, find_login
from .image import LEARNING
from .permissions import permission_finding
from .quota import FAMILY_LIMIT, limits, quota_info, request_line
from .rest import Rest
from .tpu_machines import LIST
from .tpu_types import is_tpu_type

REGION = "us-central1"
"""Where is looked when no machine config says."""

SMALLEST = "g2-standard-4"
"""The machine whose quota is looked at when no machine config says."""

_KINDS = {
    "authorized_user": "a person's login",
    "service_account": "a service account's key",
    "impersonated_service_account": "a login in the name of a service account",
    "external_account": "workload identity federation",
    "external_account_authorized_user": "workforce identity federation",
}
_THREADS = 8


def findings(settings: ProviderSettings, rest: Rest) -> Sequence[Finding]:
    """Return what was found, the first thing that is missing last: what rests on it is not looked at. Never raises."""
    sdk = sdk_finding("gcp", ("google.auth", "requests"))
    if not sdk.ok:
        return (sdk,)
    credentials = _credentials()
    if not credentials.ok:
        return (sdk, credentials)
    project = _project(rest)
    if not project.ok:
        return (sdk, credentials, project)
    with ThreadPoolExecutor(_THREADS) as pool:
        wanted = (*_services(rest), *_tpu_service(settings, rest))
        services = [pool.submit(_service, name, ask, lost) for name, ask, lost in wanted]
        permissions = pool.submit(permission_finding, rest)
        quota = pool.submit(_quota, settings, rest)
        every = [future.result() for future in services]
        return (sdk, credentials, project, *rest.time.findings(), *every, permissions.result(), *quota.result())


def _credentials() -> Finding:
    try:
        login = find_login()
        return credentials_finding(_described(login) if login is not None else "", LOGIN)
    except CloudtrainError as error:
        return Finding(False, "credentials", error.message, error.hint or LOGIN)


def _described(login: Login) -> str:
    """Return which login is used and whose it is, without anything secret of it."""
    content = login.content()
    kind = _KINDS.get(str(content.get("type", "")), "a login") if login.file is not None else "an access token"
    whose = str(content.get("client_email") or content.get("account") or "")
    spoken_for = str(content.get("service_account_impersonation_url", "")).rpartition("/")[2].partition(":")[0]
    whom = login.impersonate or spoken_for
    return f"{login.source}: {kind}{f' of {whose}' if whose else ''}{f', in the name of {whom}' if whom else ''}"


def _project(rest: Rest) -> Finding:
    """Look at the project by Compute Engine, without which there is nothing to look at."""
    try:
        project = rest.project
        rest.call("compute.projects.get", "GET", f"projects/{project}", query={"fields": "name"})
    except CloudtrainError as error:
        return Finding(False, "project", error.message, error.hint or "gcloud config get project")
    where = "" if rest.is_public else ", at another address than Google's own"
    return Finding(True, "project", f"{project}: Compute Engine answers{where}")


def _services(rest: Rest) -> Sequence[tuple[str, Callable[[], object], str]]:
    """Return each further service, a question it answers for nothing, and what there is not without it."""
    prices = {"pageSize": "1", "fields": "skus/name"}
    images = {"maxResults": "1", "fields": "items/name"}
    return (
        (
            "prices",
            lambda: rest.call("cloudbilling.services.skus.list", "GET", f"{COMPUTE_ENGINE}/skus", query=prices),
            "prices are those of the dated table",
        ),
        ("limits of the newer GPUs", lambda: quota_info(rest, FAMILY_LIMIT), "they are not known before a launch"),
        (
            "images",
            lambda: rest.call("compute.images.list", "GET", f"projects/{LEARNING}/global/images", query=images),
            "the newest image cannot be found",
        ),
    )


def _tpu_service(settings: ProviderSettings, rest: Rest) -> Sequence[tuple[str, Callable[[], object], str]]:
    """Return the same of the TPU service, for a machine config that names a TPU."""
    if not _is_tpu(settings.machine):
        return ()
    path = f"projects/{rest.project}/locations/-/queuedResources"
    return (("TPU machines", lambda: rest.call(LIST, "GET", path, query={"pageSize": "1"}), "none can be rented"),)


def _is_tpu(machine: MachineSpec | None) -> bool:
    return machine is not None and bool(machine.instance_types) and is_tpu_type(machine.instance_types[0])


def _service(subject: str, ask: Callable[[], object], lost: str) -> Finding:
    try:
        ask()
    except ProviderError as error:
        return Finding(False, subject, f"{error.message}; {lost}", error.hint or "cloudtrain check gcp")
    return Finding(True, subject, "can be read")


def _quota(settings: ProviderSettings, rest: Rest) -> list[Finding]:
    """Return a finding for each limit that the smallest machine wanted counts against."""
    if _is_tpu(settings.machine):
        where = f"https://console.cloud.google.com/iam-admin/quotas?project={rest.project}"
        return [Finding(True, "quota", f"the limits of TPUs are in no answer we may read; they are at {where}")]
    disk_gb = settings.machine.disk_gb if settings.machine is not None else None
    found = []
    for offer in _wanted(settings):
        try:
            asked = limits(rest, offer, disk_gb or (GPU_IMAGE_GIB if offer.gpu else CPU_IMAGE_GIB))
        except ProviderError as error:
            return [Finding(False, "quota", f"{error.message}; it is not known", error.hint or "cloudtrain check gcp")]
        for limit in asked:
            if limit.is_enough:
                found.append(Finding(True, "quota", limit.words))
            else:
                short = f"{limit.words}; {offer.instance_type} needs {limit.need}"
                found.append(Finding(False, "quota", short, request_line(limit, rest.project)))
    return list(dict.fromkeys(found))


def _wanted(settings: ProviderSettings) -> list[Offer]:
    """Return the machine whose quota is looked at, in the first region wanted: the smallest of the config's first kind."""
    machine = settings.machine
    if machine is None or not machine.instance_types:
        markets = list(Market) if machine is None else [machine.market]
        return [_sized(settings, SMALLEST, _region(machine), market) for market in markets]
    return [_sized(settings, machine.instance_types[0], _region(machine), machine.market)]


def _region(machine: MachineSpec | None) -> str:
    return machine.regions[0] if machine is not None and machine.regions else REGION


def _sized(settings: ProviderSettings, name: str, region: str, market: Market) -> Offer:
    """Return an offer with the sizes that the table has of its type, in whatever region."""
    for offer in settings.prices("gcp"):
        if offer.instance_type == name:
            return Offer(
                "gcp", name, region, market, vcpus=offer.vcpus, gpu=offer.gpu, gpu_count=offer.gpu_count, source="table"
            )
    return Offer("gcp", name, region, market)
