"""What is called, what that needs, and the page that says so: one list."""

import re
from pathlib import Path

import yaml

import cloudtrain.providers.gcp as package
from cloudtrain.providers.gcp.permissions import (
    EVERYDAY,
    NEEDED,
    NEEDED_FOR_CHECKPOINTS,
    NEEDED_FOR_DATA,
    NEEDED_FOR_TPUS,
    NEEDED_ONCE,
    held,
    of_methods,
    role,
)

from .answers import Answers

ROOT = Path(__file__).resolve().parents[3]
SERVICES = "compute|cloudbilling|cloudquotas|cloudresourcemanager|iam|iamcredentials|serviceusage|storage|tpu"
EVERY = {**NEEDED, **NEEDED_ONCE, **NEEDED_FOR_TPUS, **NEEDED_FOR_DATA, **NEEDED_FOR_CHECKPOINTS}


NOT_NAMED = {
    "compute.globalOperations.wait",
    "compute.zoneOperations.wait",
    "cloudresourcemanager.projects.testIamPermissions",
}
"""Methods whose names are put together, or stand in the module of the permissions."""


def named_in_the_code() -> set[str]:
    """Return Google's methods that the provider's modules name."""
    folder = Path(str(package.__file__)).parent
    files = [file for file in folder.glob("*.py") if file.name != "permissions.py"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(rf'"((?:{SERVICES})(?:\.[a-zA-Z]+){{2,}})"', text))


def test_every_method_that_is_called_has_its_permissions_and_no_other_has() -> None:
    assert named_in_the_code() | NOT_NAMED == set(EVERY)


def test_permissions_are_in_google_s_words() -> None:
    everything = of_methods(EVERY)
    assert [each for each in everything if not re.fullmatch(r"[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+", each)] == []
    # More than a hundred are not tested in one call.
    assert list(EVERYDAY) == sorted(set(EVERYDAY))
    assert len(EVERYDAY) <= 100


def test_nobody_gets_more_than_the_machines_need() -> None:
    assert not [each for each in of_methods(EVERY) if each.startswith(("iam.roles", "resourcemanager", "compute.projects.set"))]
    iam = {each for each in of_methods(EVERY) if each.startswith("iam.")}
    # Only for checkpoints are accounts made; a TPU machine has the default account, which its owner may lend.
    assert iam - set(of_methods(NEEDED_FOR_CHECKPOINTS)) == {"iam.serviceAccounts.signBlob"}
    assert not [each for each in EVERYDAY if each.startswith(("iam.", "storage."))]


def test_only_what_is_held_is_returned() -> None:
    rest = Answers({"cloudresourcemanager.projects.testIamPermissions": {"permissions": ["compute.instances.get"]}})
    assert held(rest, ("compute.instances.get", "compute.instances.create")) == {"compute.instances.get"}
    assert rest.asked[0][1] == "projects/my-project:testIamPermissions"


def test_a_role_is_written_as_gcloud_reads_it() -> None:
    written = yaml.safe_load(role("cloudtrain", ("a.b.c", "d.e.f")))
    assert written == {"title": "cloudtrain", "stage": "GA", "includedPermissions": ["a.b.c", "d.e.f"]}
