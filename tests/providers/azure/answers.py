"""Stands where Resource Manager stands: answers by what is asked, and remembers it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.providers.azure.endpoints import Endpoints
from cloudtrain.providers.azure.translate import refused
from cloudtrain.providers.cloud_time import CloudTime

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
PUBLIC = Endpoints("https://login.microsoftonline.com", "https://management.azure.com", "https://portal.azure.com")

Answer = Mapping[str, Any] | Exception | Callable[[str, Mapping[str, str]], Mapping[str, Any]]


@dataclass
class Answers:
    """What `Arm` says: `by_act` has a reply, an error or a function of path and query for each act."""

    by_act: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    subscription: str = SUBSCRIPTION
    endpoints: Endpoints = PUBLIC
    credential: Any = None
    time: CloudTime = field(default_factory=lambda: CloudTime("Azure"))

    def below(self, place: str) -> str:
        return f"/subscriptions/{self.subscription}/{place}"

    def call(
        self,
        act: str,
        method: str,
        path: str,
        *,
        api: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        self.asked.append((act, path, dict(query or {})))
        answer = self.by_act[act]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer(path, query or {}) if callable(answer) else answer)

    def pages(self, act: str, path: str, *, api: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        yield from self.call(act, "GET", path, api=api, query=query).get("value", ())

    def named(self) -> list[str]:
        return [act for act, _, _ in self.asked]


def denied(act: str, status: int = 403, code: str = "AuthorizationFailed") -> Exception:
    """Return the error for a call that Azure refused."""
    said = f"The client 'x' does not have authorization to perform action '{act}' over scope '/subscriptions/{SUBSCRIPTION}'."
    return refused(act, f"/subscriptions/{SUBSCRIPTION}", status, {"error": {"code": code, "message": said}})


def sku(
    name: str, vcpus: int, memory_gb: float, family: str, *zones: str, region: str = "eastus", **more: Any
) -> dict[str, Any]:
    """Return an entry of the Resource SKUs; what is in `capabilities` stands beside the usual ones, None takes one away."""
    capabilities: dict[str, str | None] = {
        "vCPUs": str(vcpus),
        "MemoryGB": f"{memory_gb:g}",
        "HyperVGenerations": "V1,V2",
        "CpuArchitectureType": "x64",
        "LowPriorityCapable": "True",
        **more.pop("capabilities", {}),
    }
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "tier": "Standard",
        "family": family,
        "locations": [region],
        "locationInfo": [{"location": region, "zones": list(zones), "zoneDetails": []}],
        "capabilities": [{"name": key, "value": value} for key, value in capabilities.items() if value is not None],
        "restrictions": [],
        **more,
    }


def shut(
    kind: str = "Location", *zones: str, region: str = "eastus", why: str = "NotAvailableForSubscription"
) -> dict[str, Any]:
    """Return a restriction of a SKU, in the shape Azure gives it."""
    info = {"locations": [region], **({"zones": list(zones)} if zones else {})}
    return {"type": kind, "values": [region], "restrictionInfo": info, "reasonCode": why}


T4_FAMILY = "Standard NCASv3_T4 Family"
GPU = {"GPUs": "1"}


def usage(name: str, used: int, limit: int, shown: str = "") -> dict[str, Any]:
    """Return an entry of a region's usages."""
    return {"unit": "Count", "currentValue": used, "limit": limit, "name": {"value": name, "localizedValue": shown or name}}


def log_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this computer have a login for Azure, and none of whoever runs the tests."""
    log_out(monkeypatch, folder)
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_CLIENT_ID", "0000-client")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "very-secret")


def log_out(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take every login away."""
    names = ("CLIENT_ID", "CLIENT_SECRET", "CLIENT_CERTIFICATE_PATH", "FEDERATED_TOKEN_FILE", "TENANT_ID", "SUBSCRIPTION_ID")
    for name in (*(f"AZURE_{each}" for each in names), "AZURE_TOKEN_CREDENTIALS", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AZURE_AUTHORITY_HOST", "AZURE_CLOUD_NAME", "CLOUDTRAIN_RESOURCE_MANAGER_URL", "CLOUDTRAIN_AZURE_PRICES_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AZURE_DEFAULTS_LOCATION", raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(folder / "azure"))
