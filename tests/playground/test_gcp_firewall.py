"""The firewall decides as Google's does, and the watch sees who could come in."""

from typing import Any

import pytest

from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import LABELS, ZONE, Google, disk, refused, scheduling

ME, STRANGER, INSIDE = "192.0.2.7", "198.51.100.9", "10.128.0.99"
SSH = [{"IPProtocol": "tcp", "ports": ["22"]}]
TAG = ["cloudtrain-vm"]


def rule(google: Google, name: str, **fields: Any) -> None:
    google.done(google.compute("POST", "global/firewalls", {"name": name, **fields}))


def close(google: Google) -> None:
    """Let in one address and nobody else."""
    rule(google, "mine", priority=900, allowed=SSH, sourceRanges=[f"{ME}/32"], targetTags=TAG)
    rule(google, "none", priority=901, denied=[{"IPProtocol": "tcp", "ports": ["22", "3389"]}], targetTags=TAG)


def test_the_default_network_lets_everybody_in(gcp: GcpCloud, google: Google) -> None:
    google.running()
    assert gcp.may_reach(STRANGER, "vm")
    assert gcp.may_reach(STRANGER, "vm", 3389)
    assert not gcp.may_reach(STRANGER, "vm", 8888)
    assert gcp.may_reach(INSIDE, "vm", 8888)
    rules = google.compute("GET", "global/firewalls")["items"]
    assert sorted(one["name"] for one in rules) == [
        "default-allow-icmp",
        "default-allow-internal",
        "default-allow-rdp",
        "default-allow-ssh",
    ]


def test_a_rule_of_a_lower_number_closes_it_but_for_one_address(gcp: GcpCloud, google: Google) -> None:
    close(google)
    google.running()
    assert gcp.may_reach(ME, "vm")
    assert not any(gcp.may_reach(source, "vm") for source in (STRANGER, INSIDE))
    assert gcp.violations() == []


def test_a_rule_is_for_its_tags_alone(gcp: GcpCloud, google: Google) -> None:
    close(google)
    google.running("vm", tags={"items": ["other"]})
    assert gcp.may_reach(STRANGER, "vm")


def test_of_two_rules_with_one_number_the_one_that_denies_counts(gcp: GcpCloud, google: Google) -> None:
    google.running()
    rule(google, "open", priority=5, allowed=SSH)
    rule(google, "shut", priority=5, denied=SSH)
    assert not gcp.may_reach(STRANGER, "vm")
    google.done(google.compute("PATCH", "global/firewalls/shut", {"name": "shut", "disabled": True}))
    assert gcp.may_reach(STRANGER, "vm")
    google.done(google.compute("PATCH", "global/firewalls/open", {"name": "open", "sourceRanges": [f"{ME}/32"], "priority": 4}))
    google.done(google.compute("PATCH", "global/firewalls/shut", {"name": "shut", "disabled": False}))
    assert (gcp.may_reach(ME, "vm"), gcp.may_reach(STRANGER, "vm")) == (True, False)
    google.done(google.compute("DELETE", "global/firewalls/shut"))
    assert gcp.may_reach(STRANGER, "vm")


def test_a_port_range_and_all_protocols_are_understood(gcp: GcpCloud, google: Google) -> None:
    google.running()
    rule(google, "some", priority=1, denied=[{"IPProtocol": "6", "ports": ["20-30"]}])
    assert not gcp.may_reach(STRANGER, "vm")
    rule(google, "all", priority=0, allowed=[{"IPProtocol": "all"}])
    assert gcp.may_reach(STRANGER, "vm", 9)


def test_an_address_of_the_next_version_is_not_let_in_by_one_of_this(gcp: GcpCloud, google: Google) -> None:
    google.running()
    assert not gcp.may_reach("2001:db8::1", "vm")
    rule(google, "six", allowed=SSH, sourceRanges=["2001:db8::1/128"])
    assert gcp.may_reach("2001:db8::1", "vm")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "Exactly one of 'allowed' and 'denied'"),
        ({"allowed": SSH, "denied": SSH}, "Exactly one of"),
        ({"allowed": SSH, "sourceRanges": ["192.0.2.7/24"]}, "valid CIDR"),
        ({"allowed": SSH, "priority": 65536}, "between 0 and 65535"),
        ({"allowed": [{"IPProtocol": "ssh"}]}, "well-known IP protocol"),
        ({"allowed": [{"IPProtocol": "tcp", "ports": ["high"]}]}, "a port or a range"),
    ],
)
def test_what_is_no_rule_is_refused(google: Google, fields: dict[str, Any], text: str) -> None:
    with refused(400, "invalid", text):
        google.compute("POST", "global/firewalls", {"name": "mine", **fields})


def test_a_rule_is_there_once(google: Google) -> None:
    rule(google, "mine", allowed=SSH)
    shown = google.compute("GET", "global/firewalls/mine")
    assert (shown["priority"], shown["direction"], shown["sourceRanges"]) == (1000, "INGRESS", ["0.0.0.0/0"])
    with refused(409, "alreadyExists", "firewalls/mine"):
        google.compute("POST", "global/firewalls", {"name": "mine", "allowed": SSH})
    google.done(google.compute("DELETE", "global/firewalls/mine"))
    with refused(404, "notFound", "firewalls/mine"):
        google.compute("DELETE", "global/firewalls/mine")


def test_a_network_of_ones_own_begins_closed(gcp: GcpCloud, google: Google) -> None:
    google.done(google.compute("POST", "global/networks", {"name": "own", "autoCreateSubnetworks": True}))
    google.running(networkInterfaces=[{"network": "global/networks/own"}])
    assert not gcp.may_reach(STRANGER, "vm")
    assert google.compute("GET", "regions/us-central1/subnetworks/own")["network"].endswith("/networks/own")
    names = {one["name"] for one in google.compute("GET", "global/networks")["items"]}
    assert names == {"default", "own"}


KEYS = {"key": "block-project-ssh-keys", "value": "TRUE"}
DATA = {"key": "user-data", "value": "#!/bin/sh\n"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": {"owner": "me"}}, "it carries no label of ours"),
        ({"disks": [disk(labels={})]}, "its disk persistent-disk-0 carries no label of ours"),
        ({"disks": [disk() | {"autoDelete": False}]}, "its disk persistent-disk-0 outlives it"),
        (
            {"scheduling": scheduling(maxRunDuration=None, instanceTerminationAction=None)},
            "it has no maxRunDuration and no terminationTime",
        ),
        ({"scheduling": scheduling(automaticRestart=True)}, "it starts again by itself"),
        ({"serviceAccounts": [{"email": "default"}]}, "service account 451234567890-compute@developer.gserviceaccount.com"),
        ({"metadata": {"items": [DATA]}}, "block-project-ssh-keys is not TRUE"),
        ({"metadata": {"items": [KEYS]}}, "nothing arms its shutdown"),
    ],
)
def test_the_watch_sees_what_must_never_be(gcp: GcpCloud, google: Google, changes: dict[str, Any], what: str) -> None:
    close(google)
    google.insert(**changes)
    assert len(gcp.violations()) == 1
    assert (gcp.violations()[0].resource, gcp.calls()[gcp.violations()[0].seq - 1].name) == ("vm", "compute.instances.insert")
    assert what in gcp.violations()[0].what


def test_a_service_account_that_somebody_asked_for_is_none(gcp: GcpCloud, google: Google) -> None:
    close(google)
    gcp.account.allowed_service_accounts = {"run@x.iam.gserviceaccount.com"}
    google.insert(serviceAccounts=[{"email": "run@x.iam.gserviceaccount.com", "scopes": []}], labels=LABELS)
    assert gcp.violations() == []


@pytest.mark.parametrize(
    ("scope", "rights", "what"),
    [
        ("devstorage.read_write", 1, ""),
        ("cloud-platform", 1, "may use more than Storage"),
        ("devstorage.read_write", 0, "has 0 rights in buckets"),
        ("devstorage.read_write", 2, "has 2 rights in buckets"),
    ],
)
def test_a_service_account_of_ours_reaches_one_folder(
    gcp: GcpCloud, google: Google, scope: str, rights: int, what: str
) -> None:
    close(google)
    email, bucket = gcp.make_service_account("cloudtrain-1").email, gcp.make_bucket("data")
    bucket.bindings = [{"role": "roles/storage.objectUser", "members": [f"serviceAccount:{email}"]}] * rights
    scopes = [f"https://www.googleapis.com/auth/{scope}"]
    google.insert(serviceAccounts=[{"email": email, "scopes": scopes}], labels=LABELS)
    assert [what in one.what for one in gcp.violations()] == ([True] if what else [])


def test_the_watch_sees_a_range_that_is_wider_than_the_caller(gcp: GcpCloud, google: Google) -> None:
    close(google)
    rule(google, "wide", priority=800, allowed=SSH, sourceRanges=["192.0.2.0/24"], targetTags=TAG)
    google.insert()
    assert [one.what for one in gcp.violations()] == ["port 22 is open to 192.0.2.128"]
    assert google.instances("/vm", zone=ZONE)["name"] == "vm"
