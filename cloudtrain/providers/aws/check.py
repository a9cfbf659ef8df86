"""A look at AWS before money: credentials, account, permissions, regions, quota. Nothing here is billed, nothing is made."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from ...model.errors import PermissionDeniedError, ProviderError
from ...model.finding import Finding
from ...model.spec import Market
from ..base import ProviderSettings
from ..extras import credentials_finding, sdk_finding
from .clients import DEFAULT_REGION, Clients
from .credentials import credentials_source
from .permissions import NO_IMAGE, permission_findings, why_denied
from .quota import Family, G, P, family_of, limit_vcpus, request_line, used_words, vcpus_in_use
from .translate import calling, code_of, is_not_opted_in

LEAST_VCPUS = {P.name: 8, G.name: 4}
"""What the smallest useful machine of a family has: p3.2xlarge, g4dn.xlarge."""

SKEW = timedelta(minutes=4)
"""AWS refuses signatures that are five minutes off."""

IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"

_SIGNATURE_CODES = frozenset(
    ("SignatureDoesNotMatch", "RequestExpired", "InvalidSignatureException", "RequestTimeTooSkewed", "AuthFailure")
)
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that what is wanted counts against. `need` is what the smallest machine wanted has, vCPUs."""

    family: Family
    market: Market
    need: int

    @property
    def code(self) -> str:
        """Return the limit's code."""
        return self.family.code(self.market)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and a region that knows them."""

    account: str
    arn: str
    region: str


def findings(settings: ProviderSettings, clients: Clients) -> Sequence[Finding]:
    """Return what was found, the first thing that is missing last: what rests on it is not looked at. Never raises."""
    sdk = sdk_finding("aws", ("boto3",))
    if not sdk.ok:
        return (sdk,)
    credentials = credentials_finding(credentials_source(), "aws configure")
    if not credentials.ok:
        return (sdk, credentials)
    try:
        caller = _caller(settings, clients)
    except ProviderError as error:
        return (sdk, credentials, _refused(error, settings.clock.now()))
    account = Finding(True, "account", f"{caller.account}, as {caller.arn}")
    return (sdk, credentials, account, *clients.time.findings(), *_account_findings(settings, clients, caller))


def _caller(settings: ProviderSettings, clients: Clients) -> Caller:
    """Return who asks. A region that is not switched on takes good credentials for bad ones: then the first region decides."""
    region = clients.default_region()
    try:
        return _asked_in(region, clients)
    except ProviderError as error:
        machine = settings.machine
        if machine is None or region == DEFAULT_REGION or not is_not_opted_in(error):
            raise
        return _asked_in(DEFAULT_REGION, Clients(replace(settings, machine=replace(machine, regions=(DEFAULT_REGION,)))))


def _asked_in(region: str, clients: Clients) -> Caller:
    with calling(region):
        found = clients.sts().get_caller_identity()
    return Caller(found["Account"], found["Arn"], region)


def _refused(error: ProviderError, now: datetime) -> Finding:
    """A clock that is off looks like a wrong key; the answer says what time it is."""
    headers = getattr(error.__cause__, "response", {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if code_of(error) in _SIGNATURE_CODES and "date" in headers:
        ahead = now - parsedate_to_datetime(headers["date"])
        if abs(ahead) > SKEW:
            minutes = round(abs(ahead).total_seconds() / 60)
            side = "ahead" if ahead > timedelta(0) else "behind"
            return Finding(
                False,
                "clock",
                f"this computer's clock is {minutes} minutes {side}; AWS refuses what it signs",
                "timedatectl set-ntp true",
            )
    return Finding(False, "account", error.message, error.hint or "aws sts get-caller-identity")


def _account_findings(settings: ProviderSettings, clients: Clients, caller: Caller) -> list[Finding]:
    named = clients.wanted_regions()
    wanted = named if settings.machine is not None else tuple(dict.fromkeys((*named, DEFAULT_REGION)))
    regions, usable = _regions(clients, caller.region, wanted)
    if not usable:
        return regions
    region = usable[0]
    with ThreadPoolExecutor(_THREADS) as pool:
        prices = pool.submit(_prices, clients, caller.arn)
        quota = pool.submit(_quotas, _limits(settings), clients, region, caller.arn)
        images, image = _images(clients, region, caller.arn)
        permissions = permission_findings(clients, region, image, caller.arn)
        return [*regions, *permissions, *quota.result(), prices.result(), images]


def _regions(clients: Clients, home: str, wanted: Sequence[str]) -> tuple[list[Finding], list[str]]:
    """Return a finding for each region, and those where machines can be rented."""
    try:
        with calling(home):
            found = clients.ec2(home).describe_regions(AllRegions=True)["Regions"]
    except ProviderError as error:
        # Not being allowed to list them is no reason not to look into them.
        return [Finding(False, "regions", error.message, error.hint)], list(wanted)
    status = {each["RegionName"]: each["OptInStatus"] for each in found}
    usable = [region for region in wanted if status.get(region, "not-opted-in") != "not-opted-in"]
    return [_region(region, status.get(region, "")) for region in wanted], usable


def _region(region: str, status: str) -> Finding:
    if not status:
        line = "aws ec2 describe-regions --all-regions --query Regions[].RegionName"
        return Finding(False, "region", f"AWS has no region {region}", line)
    if status == "not-opted-in":
        line = f"aws account enable-region --region-name {region}"
        return Finding(False, "region", f"{region} is not switched on for this account", line)
    return Finding(True, "region", f"{region} is switched on")


def _prices(clients: Clients, principal: str) -> Finding:
    try:
        with calling():
            clients.pricing().get_products(ServiceCode="AmazonEC2", MaxResults=1)
    except ProviderError as error:
        return _no_access("prices", "pricing:GetProducts", "prices are those of the dated table", error, principal)
    return Finding(True, "prices", "live prices can be read")


def _images(clients: Clients, region: str, principal: str) -> tuple[Finding, str]:
    try:
        with calling(region):
            found = clients.ssm(region).get_parameters(Names=[IMAGE_PARAMETER])["Parameters"]
    except ProviderError as error:
        return _no_access("images", "ssm:GetParameters", "the newest image cannot be found", error, principal), NO_IMAGE
    return Finding(True, "images", "the newest image can be found"), found[0]["Value"] if found else NO_IMAGE


def _quotas(limits: Sequence[Limit], clients: Clients, region: str, principal: str) -> list[Finding]:
    """Return a finding for each limit that what is wanted counts against."""
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            in_use = pool.submit(vcpus_in_use, clients, region)
            values = list(pool.map(lambda limit: limit_vcpus(clients, region, limit.code), limits))
            used = in_use.result()
    except ProviderError as error:
        return [_no_access("quota", "servicequotas:GetServiceQuota", "it is not known", error, principal)]
    return [_quota(limit, region, used.get(limit.code, 0), value) for limit, value in zip(limits, values, strict=True)]


def _limits(settings: ProviderSettings) -> list[Limit]:
    machine = settings.machine
    if machine is None or not machine.instance_types:
        markets = list(Market) if machine is None else [machine.market]
        return [Limit(family, market, LEAST_VCPUS[family.name]) for family in (P, G) for market in markets]
    vcpus = {offer.instance_type: offer.vcpus for offer in settings.prices("aws")}
    needs: dict[str, Limit] = {}
    for name in machine.instance_types:
        family = family_of(name)
        if family is not None and family.code(machine.market):
            least = vcpus.get(name) or LEAST_VCPUS.get(family.name, 1)
            known = needs.get(family.name)
            needs[family.name] = Limit(family, machine.market, min(least, known.need) if known else least)
    return list(needs.values())


def _quota(limit: Limit, region: str, used: int, vcpus: int) -> Finding:
    message = f"{limit.family.name} {limit.market.value} in {region}: {used_words(used, vcpus)}"
    if used + limit.need <= vcpus:
        return Finding(True, "quota", message)
    short = f"{message}; the smallest machine wanted needs {limit.need}"
    return Finding(False, "quota", short, request_line(limit.code, region, used + limit.need))


def _no_access(subject: str, action: str, meaning: str, error: ProviderError, principal: str) -> Finding:
    if isinstance(error, PermissionDeniedError):
        return Finding(False, subject, f"{action} is denied; {meaning}", why_denied(action, principal))
    return Finding(False, subject, f"{error.message}; {meaning}", error.hint or "cloudtrain check aws")
