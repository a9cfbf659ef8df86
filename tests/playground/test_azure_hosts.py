"""A real host behind the pretend Azure: its metadata service, who may log in, and how it ends its own bill."""

import base64
import json
import queue
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.remote import guest_archive
from cloudtrain.testing.playground.azure import AzureCloud
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor
from cloudtrain.testing.playground.hypervisor.azure_metadata import AzureMetadata
from cloudtrain.testing.playground.hypervisor.user_data import read
from cloudtrain.testing.playground.machine import MachineOrder

from .arm_calls import AUTHORIZATION, KEY, Arm, spot, vm
from .hypervisor_fixtures import NO_NAMESPACES

TIMEOUT_S = 60
INSTANCE = {"compute": {"name": "vm", "vmSize": "Standard_B2s", "tagsList": [{"name": "a", "value": "b"}]}}
PAGES = {"instance": json.dumps(INSTANCE), "identity/oauth2/token": json.dumps({"access_token": "t"})}
EVENTS = json.dumps({"DocumentIncarnation": 2, "Events": [{"EventId": "E", "EventType": "Preempt"}]})
VERSION = "api-version=2021-02-01"


@pytest.fixture
def served() -> Iterator[tuple[AzureMetadata, str]]:
    """A metadata service on a port of its own."""
    metadata = AzureMetadata(PAGES)
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                caller, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=metadata.answer, args=(caller,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield metadata, f"http://127.0.0.1:{door.getsockname()[1]}/metadata/"
    door.shutdown(socket.SHUT_RDWR)
    door.close()
    thread.join(TIMEOUT_S)


def ask(url: str, content: bytes | None = None, **headers: str) -> tuple[int, Any]:
    whole = {"Metadata": "true", "Connection": "close", **headers}
    request = urllib.request.Request(url, content, whole)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_nothing_without_the_header_and_a_version(served: tuple[AzureMetadata, str]) -> None:
    _, url = served
    for path in ("instance", "scheduledevents", "identity/oauth2/token"):
        assert ask(f"{url}{path}?{VERSION}", Metadata="false")[0] == 400
        assert ask(f"{url}{path}?{VERSION}", **{"X-Forwarded-For": "1.2.3.4"})[0] == 400
        assert ask(f"{url}{path}")[0] == 400
        status, said = ask(f"{url}{path}?api-version=2031-01-01")
        assert (status, said["newest-versions"][0]) == (400, "2025-04-07")
    assert ask(url.replace("/metadata/", "/latest/meta-data/"))[0] == 404


def test_a_document_and_its_parts(served: tuple[AzureMetadata, str]) -> None:
    _, url = served
    assert ask(f"{url}instance?{VERSION}") == (200, INSTANCE)
    assert ask(f"{url}instance/compute?{VERSION}") == (200, INSTANCE["compute"])
    assert ask(f"{url}instance/compute/vmSize?{VERSION}&format=text") == (200, "Standard_B2s")
    assert ask(f"{url}instance/compute/tagsList/0/value?{VERSION}&format=text") == (200, "b")
    assert ask(f"{url}instance/compute/vmSize?{VERSION}")[0] == 400
    assert ask(f"{url}instance/compute/toaster?{VERSION}")[0] == 404


def test_a_token_is_for_a_resource(served: tuple[AzureMetadata, str]) -> None:
    metadata, url = served
    status, token = ask(f"{url}identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F")
    assert (status, token["access_token"], token["resource"]) == (200, "t", "https://management.azure.com/")
    assert int(token["expires_on"]) > int(token["not_before"])
    assert ask(f"{url}identity/oauth2/token?api-version=2018-02-01")[0] == 400
    metadata.set("identity/oauth2/token", None)
    status, said = ask(f"{url}identity/oauth2/token?api-version=2018-02-01&resource=x")
    assert (status, said["error_description"]) == (400, "Identity not found")


def test_events_are_for_who_asked_before(served: tuple[AzureMetadata, str]) -> None:
    metadata, url = served
    events = f"{url}scheduledevents?api-version=2020-07-01"
    metadata.set("scheduledevents", EVENTS)
    assert ask(events)[1]["Events"] == []
    assert metadata.written()["asks-for-events"] == "true"
    metadata.set("scheduledevents", EVENTS)
    assert ask(events)[1]["Events"][0]["EventType"] == "Preempt"
    assert ask(events, b'{"StartRequests": [{"EventId": "E"}]}')[0] == 200
    assert metadata.written()["approved-events"] == "E"
    assert ask(events, b"nonsense")[0] == 400


def test_whom_the_machine_lets_in() -> None:
    keys = [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]
    pages = {"instance": json.dumps({"compute": {"publicKeys": keys}})}
    order = MachineOrder("vm", b"", "azureuser", pages, "azure")
    assert read(order)["users"] == [{"name": "azureuser", "sudo": True, "keys": [KEY]}]
    other = MachineOrder("vm", b"", "azureuser", pages, "ec2")
    assert read(other)["users"][0]["keys"] == []


KINDS = ["loopback", pytest.param("namespace", marks=pytest.mark.skipif(bool(NO_NAMESPACES), reason=NO_NAMESPACES))]


class Lab:
    """A pretend Azure with real hosts, and what is heard of their ends."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.ended: queue.Queue[str] = queue.Queue()
        self.hypervisor: LocalHypervisor = open_hypervisor(folder, self._powered_off, kind=kind)
        switch_off = self.hypervisor.switch_off

        def and_tell(id: str) -> None:
            switch_off(id)
            self.ended.put(f"switched off {id}")

        self.hypervisor.switch_off = and_tell  # type: ignore[method-assign]  # to hear of it
        self.cloud = AzureCloud(self.hypervisor)

    def _powered_off(self, id: str) -> None:
        self.cloud.power_off(id)
        self.ended.put(f"{id} powered off")

    def run(self, command: str, stdin: bytes = b"") -> str:
        done = self.hypervisor.run_in("vm", ["sh", "-c", command], stdin=stdin, timeout=TIMEOUT_S)
        assert done.returncode == 0, done
        return done.stdout.decode()


@pytest.fixture(params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "h", request.param)
    with lab.cloud:
        yield lab
        assert [event for event in lab.cloud.account.events if "broke" in event] == []
    lab.hypervisor.close()


def user_data(*commands: str) -> dict[str, str]:
    return {"userData": base64.b64encode(json.dumps({"runcmd": commands}).encode().join([b"#cloud-config\n", b""])).decode()}


def test_a_machine_ends_its_own_bill_by_its_own_identity(lab: Lab) -> None:
    arm = Arm(lab.cloud)
    arm.create(identity={"type": "SystemAssigned"})
    (machine,) = lab.cloud.machines()
    scope = f"{arm.root}{vm()}"
    end = "import sys; sys.path.insert(0, sys.argv[1]); from guest import azure_end; azure_end.end('deallocate')"
    archive = "${CLOUDTRAIN_GUEST_ROOT:-}/tmp/guest.pyz"
    lab.run(f'cat > "{archive}"', guest_archive.build())
    refused = lab.run(f'python3 -c "{end}" "{archive}" 2>&1 || true')
    assert "AuthorizationFailed" in refused
    assert machine.state == "running"
    role = "/providers/Microsoft.Authorization/roleDefinitions/11111111-1111-4111-8111-111111111111"
    permissions = [{"actions": ["Microsoft.Compute/virtualMachines/deallocate/action"]}]
    made = {"roleName": "end", "permissions": permissions, "assignableScopes": [arm.root]}
    id = arm.call("PUT", role, {"properties": made}, AUTHORIZATION).body["id"]
    given = {"roleDefinitionId": id, "principalId": machine.principal, "principalType": "ServicePrincipal"}
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/22222222-2222-4222-8222-222222222222"
    arm.call("PUT", path, {"properties": given}, AUTHORIZATION)
    lab.run(f'setsid python3 -c "{end}" "{archive}" >/dev/null 2>&1 </dev/null &')
    assert lab.ended.get(timeout=TIMEOUT_S) == "switched off vm"
    assert arm.state()[-1] in ("PowerState/deallocating", "PowerState/deallocated")
    assert arm.state()[-1] == "PowerState/deallocated"
    arm.close()


def test_a_machine_that_switches_itself_off_is_stopped_and_bills(lab: Lab) -> None:
    arm = Arm(lab.cloud)
    arm.create(properties=user_data("shutdown -h now"))
    assert lab.ended.get(timeout=TIMEOUT_S) == "vm powered off"
    lab.cloud.settle()
    assert arm.state()[-1] == "PowerState/stopped"
    lab.cloud.advance(3600)
    assert lab.cloud.billed_hours("vm") >= 1
    arm.close()


def test_a_machine_hears_of_its_eviction(lab: Lab) -> None:
    arm = Arm(lab.cloud)
    arm.create(properties=spot("Deallocate"))
    code = (
        "import json,os,urllib.request as r; u=os.environ.get('AZURE_POD_IDENTITY_AUTHORITY_HOST','http://169.254.169.254');"
        "q=r.Request(u+'/metadata/scheduledevents?api-version=2020-07-01',headers={'Metadata':'true'});"
        "print(len(json.load(r.urlopen(q,timeout=20))['Events']))"
    )
    assert lab.run(f'python3 -c "{code}"') == "0\n"
    lab.cloud.reclaim("vm", 30)
    assert lab.run(f'python3 -c "{code}"') == "1\n"
    lab.cloud.advance(31)
    assert lab.ended.get(timeout=TIMEOUT_S) == "switched off vm"
    arm.close()


def test_secure_boot_keeps_the_driver_away(lab: Lab) -> None:
    arm = Arm(lab.cloud)
    arm.create()
    assert "Tesla T4" in lab.run("nvidia-smi -L")
    arm.do("DELETE", vm())
    locked = {"securityType": "TrustedLaunch", "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True}}
    arm.create("locked", properties={"securityProfile": locked})
    done = lab.hypervisor.run_in("locked", ["sh", "-c", "command -v nvidia-smi"], timeout=TIMEOUT_S)
    assert done.returncode != 0
    arm.close()


def test_the_environment_of_whoever_logs_in_and_of_root(lab: Lab) -> None:
    arm = Arm(lab.cloud)
    arm.create()
    said = lab.run('echo "$CLOUDTRAIN_RESOURCE_MANAGER_URL"; cat "$SSL_CERT_FILE"; sudo sh -c \'echo "$SSL_CERT_FILE"\'')
    assert said.startswith(f"{lab.cloud.url}\n-----BEGIN CERTIFICATE-----")
    assert said.rstrip().endswith("/usr/local/share/ca-certificates/cloudtrain-playground.crt")
    arm.close()
