"""A real host behind the pretend Google Cloud: its metadata server, who may log in, and what its end does to the instance."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor
from cloudtrain.testing.playground.hypervisor.google_metadata import GoogleMetadata
from cloudtrain.testing.playground.hypervisor.user_data import read
from cloudtrain.testing.playground.machine import MachineOrder

from .google_calls import Google, spot

TIMEOUT_S = 30
PAGES = {
    "instance/id": "7",
    "instance/preempted": "FALSE",
    "instance/machine-type": "projects/1/machineTypes/n1",
    "instance/attributes/user-data": "#!/bin/sh",
    "instance/attributes/enable-guest-attributes": "TRUE",
}
KEY = "ssh-ed25519 AAAA me@here"


@pytest.fixture
def server() -> Iterator[tuple[GoogleMetadata, str]]:
    """A metadata server on a port of its own."""
    metadata = GoogleMetadata(PAGES)
    door = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                caller, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=metadata.answer, args=(caller,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield metadata, f"http://127.0.0.1:{door.getsockname()[1]}/computeMetadata/v1/"
    ended.set()
    door.shutdown(socket.SHUT_RDWR)
    door.close()
    thread.join(TIMEOUT_S)


def ask(url: str, verb: str = "GET", content: bytes | None = None, flavor: str = "Google") -> tuple[int, str]:
    request = urllib.request.Request(url, content, {"Metadata-Flavor": flavor, "Connection": "close"}, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            assert answer.headers["Metadata-Flavor"] == "Google"
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_metadata_server_wants_googles_header(server: Any) -> None:
    _, url = server
    assert ask(f"{url}instance/id") == (200, "7")
    assert ask(f"{url}instance/id", flavor="")[0] == 403
    assert ask(f"{url}instance/service-accounts/default/token")[0] == 404
    assert ask(url.replace("v1", "v2"))[0] == 404


def test_a_folder_is_listed_or_told_whole(server: Any) -> None:
    _, url = server
    assert ask(f"{url}instance/")[1].split() == ["attributes/", "id", "machine-type", "preempted"]
    whole = json.loads(ask(f"{url}instance/?recursive=true")[1])
    assert whole["machineType"] == PAGES["instance/machine-type"]
    assert whole["attributes"]["user-data"] == "#!/bin/sh"


def test_who_waits_for_a_change_hears_of_it(server: Any) -> None:
    metadata, url = server
    heard: list[tuple[int, str]] = []
    asked = threading.Thread(target=lambda: heard.append(ask(f"{url}instance/preempted?wait_for_change=true")))
    asked.start()
    while not metadata.waiting:
        asked.join(0.01)
    metadata.set("instance/preempted", "TRUE")
    asked.join(TIMEOUT_S)
    assert heard == [(200, "TRUE")]
    assert ask(f"{url}instance/preempted?wait_for_change=true&last_etag=0") == (200, "TRUE")
    assert ask(f"{url}instance/preempted?wait_for_change=true&timeout_sec=0") == (200, "TRUE")


def test_a_guest_writes_what_it_may(server: Any) -> None:
    metadata, url = server
    assert ask(f"{url}instance/guest-attributes/hostkeys/ssh-ed25519", "PUT", b"AAAA") == (200, "")
    assert metadata.written() == {"hostkeys/ssh-ed25519": "AAAA"}
    assert ask(f"{url}instance/id", "PUT", b"8")[0] == 403
    metadata.set("instance/attributes/enable-guest-attributes", None)
    assert ask(f"{url}instance/guest-attributes/x", "PUT", b"1")[0] == 403


def test_who_may_log_in_stands_in_ssh_keys(tmp_path: Path) -> None:
    metadata = {
        "instance/attributes/ssh-keys": f"ubuntu:{KEY}\nada:{KEY}\nbroken",
        "project/attributes/ssh-keys": "team:ssh-ed25519 BBBB",
    }
    order = MachineOrder("vm", b"", metadata=metadata, metadata_service="google")
    users = {user["name"]: user for user in read(order)["users"]}
    assert (users["ubuntu"]["keys"], users["ada"]["keys"], users["ada"]["sudo"]) == ([KEY], [KEY], True)
    assert "team" in users
    closed = MachineOrder("vm", b"", metadata=metadata | {"instance/attributes/block-project-ssh-keys": "TRUE"})
    assert "team" not in {user["name"] for user in read(closed)["users"]}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[GcpCloud, LocalHypervisor]]:
    hypervisor = open_hypervisor(tmp_path, lambda id: cloud.power_off(id), kind="loopback")
    cloud = GcpCloud(hypervisor)
    try:
        with cloud:
            yield cloud, hypervisor
            assert [event for event in cloud.account.events if "broke" in event] == []
    finally:
        hypervisor.close()


def on_machine(hypervisor: LocalHypervisor, script: str) -> str:
    done = hypervisor.run_in("vm", ["sh", "-c", script], timeout=TIMEOUT_S)
    return (done.stdout + done.stderr).decode().strip()


GET = 'import os,sys,urllib.request as u; print(u.urlopen(u.Request("http://"+os.environ["GCE_METADATA_HOST"]+sys.argv[1],\
 headers={"Metadata-Flavor": "Google"})).read().decode())'


def test_a_machine_hears_of_its_preemption_and_ends_by_its_own_shutdown(hosts: Any) -> None:
    cloud, hypervisor = hosts
    google = Google(cloud.url, cloud.project)
    google.running(scheduling=spot())
    page = "/computeMetadata/v1/instance/preempted"
    assert on_machine(hypervisor, f"python3 -c '{GET}' {page}") == "FALSE"
    cloud.reclaim("vm", 3600)
    assert on_machine(hypervisor, f"python3 -c '{GET}' {page}") == "TRUE"
    assert on_machine(hypervisor, f"python3 -c '{GET}' /computeMetadata/v1/instance/attributes/user-data") == "#!/bin/sh"
    hypervisor.run_in("vm", ["shutdown", "-h", "+1"], timeout=TIMEOUT_S)
    cloud.advance(59)
    assert google.state() == "RUNNING"
    cloud.advance(1)
    assert google.state() == "STOPPING"
    cloud.advance(10)
    assert google.state() == "TERMINATED"
