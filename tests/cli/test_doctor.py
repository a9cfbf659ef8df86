"""What is said of this computer's way to others."""

import importlib.util
import shutil

import pytest

from cloudtrain.cli.doctor import check_computer
from cloudtrain.model.finding import Finding


def said_of_ssh() -> Finding:
    return next(finding for finding in check_computer() if finding.subject == "ssh")


@pytest.fixture
def no_openssh(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ssh" else which(name))


@pytest.mark.usefixtures("no_openssh")
def test_paramiko_takes_the_place_of_openssh() -> None:
    found = said_of_ssh()
    assert found.ok
    assert found.message.startswith("no OpenSSH; paramiko connects in its place")


@pytest.mark.usefixtures("no_openssh")
def test_without_either_both_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "paramiko" else find_spec(name))
    found = said_of_ssh()
    assert not found.ok
    assert "apt install openssh-client" in found.hint
    assert "pip install 'cloudtrain[ssh]'" in found.hint
