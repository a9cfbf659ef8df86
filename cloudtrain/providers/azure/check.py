"""A look at Azure before money: login, subscription, providers, permissions, sizes, quota. Nothing here is billed or made."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...model.errors import CloudtrainError, ProviderError
from ...model.finding import Finding
from ...model.spec import Market
from ..base import ProviderSettings
from ..extras import credentials_finding, sdk_finding
from .arm import Arm
from .catalog import MODULES, NAME, wanted_regions
from .endpoints import cli_folder
from .login import LOGIN, login_source
from .permissions import permission_findings
from .quota import limits_among, request_line, usages
from .retail_prices import is_priced, region_prices
from .role import SERVICES
from .sizes import Size, is_retired, sizes
from .versions import RESOURCES, SUBSCRIPTIONS

SMALLEST = "Standard_NC4as_T4_v3"
"""The size that is looked at when no machine config says."""

READ_SUBSCRIPTION = "Microsoft.Resources/subscriptions/read"
READ_PROVIDER = "Microsoft.Resources/subscriptions/providers/read"

_THREADS = 8
_WITHOUT_MORE_QUOTA = {"AzureForStudents": "Azure for Students", "FreeTrial": "a free trial"}
"""Subscriptions whose quota Azure does not raise, by how their quotaId begins."""

_SECRETS = {
    "AZURE_CLIENT_SECRET": "with a secret",
    "AZURE_CLIENT_CERTIFICATE_PATH": "with a certificate",
    "AZURE_FEDERATED_TOKEN_FILE": "by workload identity federation",
}


def findings(settings: ProviderSettings, arm: Arm) -> Sequence[Finding]:
    """Return what was found, the first thing that is missing last: what rests on it is not looked at. Never raises."""
    sdk = sdk_finding(NAME, MODULES)
    if not sdk.ok:
        return (sdk,)
    credentials = credentials_finding(_described(login_source()), LOGIN)
    if not credentials.ok:
        return (sdk, credentials)
    subscription = _subscription(arm)
    if not subscription.ok:
        return (sdk, credentials, subscription)
    region = wanted_regions(settings.machine)[0]
    with ThreadPoolExecutor(_THREADS) as pool:
        providers = [pool.submit(_provider, namespace, arm) for namespace in SERVICES]
        permissions = pool.submit(permission_findings, arm)
        prices = pool.submit(_prices, region, arm)
        machine = pool.submit(_machine, settings, region, arm)
        found = [future.result() for future in providers]
        rest = (*found, *permissions.result(), prices.result(), *machine.result())
        return (sdk, credentials, subscription, *arm.time.findings(), *rest)


def _described(source: str) -> str:
    """Return which login is used and whose it is, without anything secret of it; "" for none."""
    client = os.environ.get("AZURE_CLIENT_ID", "")
    if source.startswith("AZURE_CLIENT_ID"):
        how = next((text for name, text in _SECRETS.items() if os.environ.get(name)), "")
        return f"{source}: the application {client}, {how}"
    if source.endswith(".json"):
        whose = _cli_user()
        return f"{source}: az login{f' of {whose}' if whose else ''}"
    return source


def _cli_user() -> str:
    try:
        profile = json.loads((cli_folder() / "azureProfile.json").read_text(encoding="utf-8-sig"))
        chosen = [each for each in profile["subscriptions"] if each.get("isDefault")]
        return str(chosen[0]["user"]["name"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return ""  # whose it is, is good to know and nothing more


def _subscription(arm: Arm) -> Finding:
    """Look at the subscription, without which there is nothing to look at."""
    look = "az account list --output table"
    try:
        found = arm.call(READ_SUBSCRIPTION, "GET", f"/subscriptions/{arm.subscription}", api=SUBSCRIPTIONS)
    except CloudtrainError as error:
        return Finding(False, "subscription", error.message, error.hint or look)
    state, name = str(found.get("state", "")), str(found.get("displayName", ""))
    who = f"{name} ({arm.subscription})"
    if state in ("Disabled", "Deleted"):
        return Finding(False, "subscription", f"{who} is {state.lower()}: Azure lets nobody change anything in it", look)
    if state != "Enabled":
        where = f"See what is owed: {arm.endpoints.portal}/#view/Microsoft_Azure_GTM/ModernBillingMenuBlade"
        return Finding(False, "subscription", f"{who} is {state or 'in a state Azure does not name'}", where)
    return Finding(True, "subscription", f"{who} is enabled{_kind(found)}")


def _kind(subscription: Mapping[str, Any]) -> str:
    told = str((subscription.get("subscriptionPolicies") or {}).get("quotaId", ""))
    kind = next((kind for begin, kind in _WITHOUT_MORE_QUOTA.items() if told.startswith(begin)), "")
    return f"; it is {kind}, whose quota is not raised: begin with azure-b2s" if kind else ""


def _provider(namespace: str, arm: Arm) -> Finding:
    try:
        found = arm.call(READ_PROVIDER, "GET", arm.below(f"providers/{namespace}"), api=RESOURCES)
    except ProviderError as error:
        return Finding(False, "resource provider", f"{namespace}: {error.message}", error.hint or _register(namespace))
    state = str(found.get("registrationState", ""))
    if state == "Registered":
        return Finding(True, "resource provider", f"{namespace} is registered")
    told = "is being registered" if state == "Registering" else "is not registered; the first launch would register it"
    return Finding(False, "resource provider", f"{namespace} {told}", _register(namespace))


def _register(namespace: str) -> str:
    return f"az provider register --namespace {namespace}"


def _prices(region: str, arm: Arm) -> Finding:
    meaning = "prices are those of the dated table"
    if not is_priced(arm.endpoints.manager):
        return Finding(True, "prices", f"no public list speaks for {arm.endpoints.manager}; {meaning}")
    try:
        region_prices(region, (SMALLEST,))
    except ProviderError as error:
        return Finding(False, "prices", f"{error.message}; {meaning}", error.hint or "cloudtrain check azure")
    return Finding(True, "prices", "live prices can be read")


def _machine(settings: ProviderSettings, region: str, arm: Arm) -> list[Finding]:
    """Return whether the first size wanted is to be had in the first region, and whether the limits have room for it."""
    machine = settings.machine
    name = machine.instance_types[0] if machine is not None and machine.instance_types else SMALLEST
    markets = [machine.market] if machine is not None else list(Market)
    try:
        with ThreadPoolExecutor(1) as pool:
            used_asked = pool.submit(usages, arm, region)
            size = sizes(arm, region).get(name)
            used = used_asked.result()
    except ProviderError as error:
        return [Finding(False, "quota", f"{error.message}; it is not known", error.hint or "cloudtrain check azure")]
    if size is None:
        return [_not_to_be_had(name, region)]
    return [Finding(True, "size", f"{name} may be had in {region}"), *_quotas(size, markets, used, arm)]


def _not_to_be_had(name: str, region: str) -> Finding:
    if is_retired(name):
        return Finding(
            False, "size", f"{name} belongs to a series that Microsoft has retired", "cloudtrain offers --provider azure"
        )
    return Finding(
        False,
        "size",
        f"{name} is not to be had in {region} for this subscription",
        f"See why: az vm list-skus --location {region} --size {name} --all --output table",
    )


def _quotas(size: Size, markets: Sequence[Market], used: Mapping[str, Mapping[str, Any]], arm: Arm) -> list[Finding]:
    found = []
    for offer in [size.offer(market) for market in markets if market in size.markets]:
        for limit in limits_among(used, offer, size.family):
            if limit.is_enough:
                found.append(Finding(True, "quota", limit.words))
            else:
                short = f"{limit.words}; {size.name} needs {limit.need}"
                found.append(Finding(False, "quota", short, request_line(limit, arm.endpoints.portal)))
    return list(dict.fromkeys(found))
