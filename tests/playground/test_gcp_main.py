"""The pretend Google Cloud as a person starts it; and Google's own command, which knows nothing of us, at work on it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import ZONE, Google
from .test_aws_main import banner

COMMAND = [sys.executable, "-m", "cloudtrain.testing.playground", "gcp", "--loopback-hosts"]
TIMEOUT_S = 60
GCLOUD_TIMEOUT_S = 120


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """The playground in a process of its own, and what it exports."""
    arguments = [*COMMAND, "--folder", str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            while lines[-1] and not lines[-1].startswith("cloudtrain start"):
                lines.append(process.stdout.readline())
            assert lines[-1] == "cloudtrain start gcp-l4\n"
            yield process, dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
        finally:
            process.kill()


def test_the_printed_lines_lead_to_a_machine_and_ctrl_c_ends_it(started: Any) -> None:
    process, exports = started
    with urllib.request.urlopen(exports["CLOUDTRAIN_ADDRESS_SERVICE"], timeout=TIMEOUT_S) as answer:
        assert answer.read() == b"127.0.0.1"
    url = exports["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"].removesuffix("/compute/v1/")
    assert all(value.startswith(url) for name, value in exports.items() if "ENDPOINT_OVERRIDES" in name)
    google = Google(url, exports["CLOUDSDK_CORE_PROJECT"], exports["CLOUDSDK_AUTH_ACCESS_TOKEN"])
    address = google.running()["networkInterfaces"][0]["accessConfigs"][0]["natIP"]
    assert banner(exports["CLOUDTRAIN_SSH_PROXY_COMMAND"], address).startswith(b"SSH-2.0-")
    turned = google.call("POST", "/_playground/advance", {"seconds": 3600})
    assert turned == {"done": True}
    described = google.raw("GET", "/_playground/instances").read()
    assert json.loads(described) == [] or json.loads(described)[0]["state"] == "STOPPING"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, errors) == (0, "")


def test_what_can_be_turned_from_another_process(gcp: GcpCloud, google: Google) -> None:
    google.call("POST", "/_playground/deny", {"permissions": ["compute.zones.list"]})
    google.call("POST", "/_playground/disable", {"services": ["tpu.googleapis.com"]})
    google.call("POST", "/_playground/stale", {"reads": 2})
    google.call("POST", "/_playground/quota", {"code": "NVIDIA_L4_GPUS", "value": 3})
    account = gcp.account
    assert (account.denied, account.disabled_services) == ({"compute.zones.list"}, {"tpu.googleapis.com"})
    assert (account.faults.stale_reads, account.quotas["us-central1", "NVIDIA_L4_GPUS"]) == (2, 3.0)


@pytest.fixture
def gcloud(gcp: GcpCloud, tmp_path: Path) -> Any:
    """Google's command, told to talk to the double; its settings in a folder of their own."""
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("the gcloud command is not installed: nothing independent drives the double here")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path / "config"),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{gcp.url}/compute/v1/",
        "CLOUDSDK_AUTH_ACCESS_TOKEN": "playground",
        "CLOUDSDK_CORE_PROJECT": gcp.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
    }

    def run(*words: str) -> Any:
        arguments = [program, "compute", *words, "--format=json"]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=GCLOUD_TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    return run


def test_googles_own_command_makes_lists_stops_and_deletes_a_machine(gcp: GcpCloud, gcloud: Any) -> None:
    made = gcloud(
        "instances", "create", "vm", f"--zone={ZONE}", "--machine-type=g2-standard-4", "--maintenance-policy=TERMINATE",
        "--provisioning-model=SPOT", "--max-run-duration=1h", "--instance-termination-action=DELETE",
        "--image-family=ubuntu-2404-lts-amd64", "--image-project=ubuntu-os-cloud", "--boot-disk-type=pd-balanced",
        "--boot-disk-size=60GB", "--labels=cloudtrain-owner=me", "--no-service-account", "--no-scopes",
        "--metadata=block-project-ssh-keys=TRUE",
    )  # fmt: skip
    assert [(one["name"], one["status"]) for one in made] == [("vm", "RUNNING")]
    machine = gcp.machines()[0]
    assert (machine.is_spot, machine.tags) == (True, {"cloudtrain-owner": "me"})
    assert machine.scheduling["maxRunDuration"] == {"seconds": "3600"}
    assert machine.body["disks"][0]["autoDelete"] is True
    listed = gcloud("instances", "list", "--filter=labels.cloudtrain-owner=me")
    assert [one["name"] for one in listed] == ["vm"]
    described = gcloud("instances", "describe", "vm", f"--zone={ZONE}")
    assert described["resourceStatus"]["scheduling"]["terminationTimestamp"]
    gcloud("instances", "stop", "vm", f"--zone={ZONE}")
    assert [machine.state for machine in gcp.machines()] == ["TERMINATED"]
    gcloud("instances", "delete", "vm", f"--zone={ZONE}")
    assert (gcp.machines(), gcloud("disks", "list")) == ([], [])
    assert [call.outcome for call in gcp.calls() if call.outcome != "ok"] == []
