"""The playground as a person starts it: the lines it prints work, and Ctrl-C ends it."""

import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest

from cloudtrain.testing.playground.__main__ import main
from cloudtrain.testing.playground.aws import AwsCloud

from .launching import request, state

COMMAND = [sys.executable, "-m", "cloudtrain.testing.playground"]
TIMEOUT_S = 60


def test_help_has_examples() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert "cloudtrain start aws-g4dn" in done.stdout


def test_the_printed_lines_lead_to_a_machine_and_ctrl_c_ends_it(tmp_path: Path, no_account: Any) -> None:
    arguments = [*COMMAND, "aws", "--loopback-hosts", "--folder", str(tmp_path)]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            while lines[-1] and not lines[-1].startswith("cloudtrain start"):
                lines.append(process.stdout.readline())
            exports = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
            with urllib.request.urlopen(exports["CLOUDTRAIN_ADDRESS_SERVICE"], timeout=TIMEOUT_S) as answer:
                assert answer.read() == b"127.0.0.1"
            session = boto3.Session(
                exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"], region_name=exports["AWS_DEFAULT_REGION"]
            )
            ec2 = session.client("ec2", endpoint_url=exports["AWS_ENDPOINT_URL"])
            id = ec2.run_instances(**request())["Instances"][0]["InstanceId"]
            assert [state(ec2, id), state(ec2, id)] == ["pending", "running"]
            address = ec2.describe_instances()["Reservations"][0]["Instances"][0]["PublicIpAddress"]
            assert banner(exports["CLOUDTRAIN_SSH_PROXY_COMMAND"], address).startswith(b"SSH-2.0-")
            ec2.close()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT_S)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def banner(proxy_command: str, address: str) -> bytes:
    """Return what the server on a machine says first, by the way that an SSH client takes; it may answer a little later."""
    arguments = shlex.split(proxy_command.replace("%p", "22").replace("%h", address))
    said = b""
    for _ in range(100):
        said = said or first_line(arguments)
    return said


def first_line(arguments: list[str]) -> bytes:
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            return process.stdout.readline()
        finally:
            process.kill()


def test_a_port_that_is_taken_is_said_in_one_line(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test run's own stay
    port = cloud.url.rsplit(":", 1)[1]
    assert main(["aws", "--loopback-hosts", "--port", port]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"Cannot listen on port {port}" in said.err
