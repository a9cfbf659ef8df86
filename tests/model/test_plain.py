import dataclasses
import enum
import json
import types
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, SshEndpoint
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.plain import from_plain, to_plain
from cloudtrain.model.run import JobState, Run
from cloudtrain.model.spec import JobSpec, MachineSpec

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)

SCALARS: dict[Any, st.SearchStrategy] = {
    str: TEXT,
    int: st.integers(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])),
    Path: st.lists(TEXT.filter(lambda part: "\0" not in part), max_size=3).map(lambda parts: Path("/", *parts)),
    type(None): st.none(),
}


def values(wanted: Any) -> st.SearchStrategy:
    """Build any value an annotation allows, so that a field added tomorrow is tested tomorrow."""
    if wanted in SCALARS:
        return SCALARS[wanted]
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return st.one_of([values(choice) for choice in get_args(wanted)])
    if origin is tuple:
        return st.lists(values(get_args(wanted)[0]), max_size=3).map(tuple)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, values(get_args(wanted)[1]), max_size=3).map(MappingProxyType)
    if issubclass(wanted, enum.Enum):
        return st.sampled_from(wanted)
    hints = get_type_hints(wanted)
    return st.builds(wanted, **{field.name: values(hints[field.name]) for field in dataclasses.fields(wanted)})


@pytest.mark.parametrize("wanted", [Run, JobSpec, MachineSpec, Instance, LaunchOrder, JobState])
# How long an example takes says nothing: the computer may be busy.
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_value_comes_back_from_json_as_it_was(wanted: type, data: st.DataObject) -> None:
    value = data.draw(values(wanted))
    text = json.dumps(to_plain(value), allow_nan=False)
    assert from_plain(wanted, json.loads(text)) == value


def test_field_names_are_the_attribute_names_and_a_union_says_its_kind() -> None:
    endpoint = SshEndpoint("10.0.0.1", ("ssh-ed25519 AAAA",))
    instance = Instance(InstanceRef("aws", "i-1"), "aws-p3", InstanceState.RUNNING, endpoint=endpoint)
    plain = to_plain(instance)
    assert plain["endpoint"]["kind"] == "ssh"
    assert plain["ref"] == {"provider": "aws", "id": "i-1", "region": "", "zone": ""}
    assert plain["state"] == "running"
    assert set(plain) == {field.name for field in dataclasses.fields(Instance)}


def test_a_field_of_a_newer_version_is_ignored_and_an_absent_one_has_its_default() -> None:
    plain = to_plain(MachineSpec("m", "aws", disk_gb=50))
    plain["colour"] = "blue"
    del plain["image"], plain["ssh"]
    assert from_plain(MachineSpec, plain) == MachineSpec("m", "aws", disk_gb=50)


@pytest.mark.parametrize(
    ("wanted", "data"),
    [
        (MachineSpec, {"name": "m"}),
        (MachineSpec, {"name": "m", "provider": 3}),
        (MachineSpec, {"name": "m", "provider": "aws", "market": "flea"}),
        (Lease, {"deadline": "soon", "usd_per_hour": 1.0}),
        (Lease, {"deadline": "2026-11-21T12:00:00+00:00", "usd_per_hour": "1"}),
        (
            Instance,
            {"ref": {"provider": "p", "id": "i"}, "name": "m", "state": "running", "endpoint": {"kind": "carrier pigeon"}},
        ),
        (Instance, {"ref": {"provider": "p", "id": "i"}, "name": "m", "state": "running", "endpoint": {"root": "/x"}}),
        (MachineSpec, []),
        (MachineSpec, None),
        (Run, "text"),
    ],
)
def test_data_of_another_shape_is_refused(wanted: type, data: object) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_plain(wanted, data)


def test_a_whole_number_is_read_where_a_fraction_is_allowed() -> None:
    offer = from_plain(Offer, {"provider": "p", "instance_type": "t", "region": "r", "usd_per_hour": 1})
    assert isinstance(offer.usd_per_hour, float)
