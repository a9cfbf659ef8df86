"""Stands where Google's interfaces stand: answers by method id, and remembers what was asked."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.providers.cloud_time import CloudTime
from cloudtrain.providers.gcp.translate import refused

PROJECT = "my-project"

Answer = Mapping[str, Any] | Exception | Callable[[str, Mapping[str, str]], Mapping[str, Any]]


@dataclass
class Answers:
    """What `Rest` says: `by_method` has a reply, an error or a function of path and query for each of Google's methods."""

    by_method: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    project: str = PROJECT
    is_public: bool = True
    time: CloudTime = field(default_factory=lambda: CloudTime("Google Cloud"))

    def call(
        self,
        method_id: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        self.asked.append((method_id, path, dict(query or {})))
        answer = self.by_method[method_id]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer(path, query or {}) if callable(answer) else answer)

    def pages(
        self, method_id: str, path: str, *, query: Mapping[str, str] | None = None, key: str = "items"
    ) -> Iterator[dict[str, Any]]:
        yield from self.call(method_id, "GET", path, query=query).get(key, ())

    def named(self) -> list[str]:
        return [method_id for method_id, _, _ in self.asked]


def denied(method_id: str, status: int = 403, reason: str = "forbidden") -> Exception:
    """Return the error for a call that Google refused."""
    reply = {"error": {"code": status, "message": f"Required permission for {method_id}", "errors": [{"reason": reason}]}}
    return refused(method_id, f"projects/{PROJECT}", status, reply)


def sku(
    description: str,
    usd: float,
    *regions: str,
    usage: str = "OnDemand",
    unit: str = "h",
) -> dict[str, Any]:
    """Return an entry of the price catalogue, in the shape the Cloud Billing API gives it."""
    units, nanos = divmod(round(usd * 1e9), 10**9)
    rate = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": str(units), "nanos": nanos}}
    return {
        "description": description,
        "category": {"resourceFamily": "Compute", "resourceGroup": "CPU", "usageType": usage},
        "serviceRegions": list(regions),
        "pricingInfo": [{"pricingExpression": {"usageUnit": unit, "tieredRates": [rate]}}],
    }


SKUS = (
    sku("G2 Instance Core running in Iowa", 0.02498844, "us-central1"),
    sku("G2 Instance Ram running in Iowa", 0.00292734, "us-central1", unit="GiBy.h"),
    sku("Nvidia L4 GPU running in Iowa", 0.56004, "us-central1"),
    sku("Spot Preemptible G2 Instance Core running in Iowa", 0.01, "us-central1", usage="Preemptible"),
    sku("Spot Preemptible G2 Instance Ram running in Iowa", 0.001, "us-central1", usage="Preemptible", unit="GiBy.h"),
    sku("Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa", 0.2, "us-central1", usage="Preemptible"),
    sku("N1 Predefined Instance Core running in Americas", 0.031611, "us-central1", "us-east1"),
    sku("N1 Predefined Instance Ram running in Americas", 0.004237, "us-central1", "us-east1", unit="GiBy.h"),
    sku("Nvidia Tesla T4 GPU running in Americas", 0.35, "us-central1", "us-east1"),
    sku("A2 Instance Core running in Americas", 0.031611, "us-central1"),
    sku("A2 Instance Ram running in Americas", 0.004237, "us-central1", unit="GiBy.h"),
    sku("Nvidia Tesla A100 GPU running in Americas", 2.933908, "us-central1"),
    sku("Nvidia Tesla A100 80GB GPU running in Americas", 3.92808, "us-central1"),
    sku("SSD backed Local Storage", 0.08, "us-central1", "us-east1", unit="GiBy.mo"),
    sku("E2 Instance Core running in Americas", 0.02181159, "us-central1", "us-east1"),
    sku("E2 Instance Ram running in Americas", 0.00292353, "us-central1", "us-east1", unit="GiBy.h"),
)
"""Prices as Google's catalogue has them, those of spot machines made up."""


def machine_type(name: str, zone: str, vcpus: int, memory_mb: int, **more: Any) -> dict[str, Any]:
    """Return an entry of machineTypes.list; `gpu=("nvidia-l4", 1)` builds GPUs in."""
    gpu = more.pop("gpu", None)
    built_in = [{"guestAcceleratorType": gpu[0], "guestAcceleratorCount": gpu[1]}] if gpu else []
    return {
        "name": name,
        "zone": zone,
        "guestCpus": vcpus,
        "memoryMb": memory_mb,
        **({"accelerators": built_in} if built_in else {}),
        **more,
    }


def card(name: str, zone: str, most: int) -> dict[str, Any]:
    """Return an entry of acceleratorTypes.list."""
    where = f"https://compute.example/compute/v1/projects/{PROJECT}/zones/{zone}"
    return {"name": name, "zone": where, "maximumCardsPerInstance": most}


def log_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this computer have a login for Google, and none of whoever runs the tests."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder / "gcloud"))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "token")
