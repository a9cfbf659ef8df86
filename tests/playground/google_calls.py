"""How the tests call the pretend Google Cloud: plain HTTP, and one instance that breaks no rule, to be changed in one thing."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

ZONE = "us-central1-a"
LABELS = {"cloudtrain-owner": "me"}
TIMEOUT_S = 60


class Refused(Exception):
    """A refusal."""

    def __init__(self, http: int, body: dict[str, Any]) -> None:
        super().__init__(f"{http} {body}")
        self.http, self.body = http, body
        self.error = body["error"]

    @property
    def reason(self) -> str:
        """Return the word of the older format, or the status of the newer one."""
        errors = self.error.get("errors")
        return errors[0]["reason"] if errors else self.error["status"]


@dataclass
class Answer:
    """A response."""

    status: int
    headers: Any
    content: bytes

    def read(self) -> bytes:
        """Return the body."""
        return self.content


class Google:
    """Calls by Google's paths."""

    def __init__(self, url: str, project: str, token: str = "playground") -> None:
        self.url, self.project, self.token = url, project, token

    def call(
        self, verb: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: str
    ) -> dict[str, Any]:
        """Call by a whole path; return the answer."""
        answer = self.raw(verb, path, None if body is None else json.dumps(body).encode(), headers, **query)
        return json.loads(answer.read() or b"{}")

    def raw(self, verb: str, path: str, content: bytes | None = None, headers: Any = None, **query: str) -> "Answer":
        """Call by a whole path; return the response as it is."""
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        own = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        request = urllib.request.Request(url, content, {**own, **(headers or {})}, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            raise Refused(
                error.code, json.loads(text) if text.startswith(b"{") else {"error": {"message": text.decode()}}
            ) from None

    def compute(self, verb: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        """Call Compute Engine below the project."""
        return self.call(verb, f"/compute/v1/projects/{self.project}/{path}", body, **query)

    def instances(self, path: str = "", verb: str = "GET", body: Any = None, zone: str = ZONE, **query: str) -> dict[str, Any]:
        """Call below a zone's instances."""
        return self.compute(verb, f"zones/{zone}/instances{path}", body, **query)

    def insert(self, name: str = "vm", zone: str = ZONE, request_id: str = "", **changes: Any) -> dict[str, Any]:
        """Begin an instance; return the operation."""
        query = {"requestId": request_id} if request_id else {}
        return self.instances("", "POST", instance(name, zone, **changes), zone, **query)

    def done(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Return an operation that has ended."""
        path = operation["selfLink"].partition("/compute/v1/")[2]
        ended = self.call("POST", f"/compute/v1/{path}/wait")
        assert ended["status"] == "DONE"
        return ended

    def running(self, name: str = "vm", zone: str = ZONE, **changes: Any) -> dict[str, Any]:
        """Make an instance, see it through, and return it."""
        assert "error" not in self.done(self.insert(name, zone, **changes))
        return self.instances(f"/{name}", zone=zone)

    def state(self, name: str = "vm") -> str:
        """Return an instance's state."""
        return str(self.instances(f"/{name}")["status"])


def instance(name: str = "vm", zone: str = ZONE, **changes: Any) -> dict[str, Any]:
    """Return an instance to insert; None in `changes` leaves a field out."""
    size = changes.pop("size", "n1-standard-4")
    whole = {
        "name": name,
        "machineType": f"zones/{zone}/machineTypes/{size}",
        "labels": LABELS,
        "tags": {"items": [f"cloudtrain-{name}"]},
        "disks": [disk(zone)],
        "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
        "metadata": {
            "items": [{"key": "user-data", "value": "#!/bin/sh\n"}, {"key": "block-project-ssh-keys", "value": "TRUE"}]
        },
        "scheduling": scheduling(),
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def disk(zone: str = ZONE, **changes: Any) -> dict[str, Any]:
    """Return a boot disk."""
    params = {
        "sourceImage": "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64",
        "diskSizeGb": "50",
        "diskType": f"zones/{zone}/diskTypes/pd-balanced",
        "labels": LABELS,
        **changes,
    }
    return {"boot": True, "autoDelete": True, "initializeParams": params}


def scheduling(**changes: Any) -> dict[str, Any]:
    """Return scheduling of an on-demand machine that lives an hour."""
    whole = {
        "maxRunDuration": {"seconds": "3600"},
        "instanceTerminationAction": "DELETE",
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def spot(**changes: Any) -> dict[str, Any]:
    """Return scheduling of a Spot machine that lives an hour."""
    return scheduling(provisioningModel="SPOT", **changes)


@contextmanager
def refused(http: int, reason: str, match: str = "") -> Iterator[pytest.ExceptionInfo[Refused]]:
    """Expect a refusal."""
    with pytest.raises(Refused) as caught:
        yield caught
    assert (caught.value.http, caught.value.reason) == (http, reason), caught.value.body
    assert match in caught.value.error["message"]
