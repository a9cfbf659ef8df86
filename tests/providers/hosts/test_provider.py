"""What the provider makes of machines that are shared, silent, asleep or not themselves."""

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import (
    InstanceNotFoundError,
    NoCapacityError,
    ProviderError,
    ProviderUnavailableError,
)
from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import HostSpec, Resources, Wake
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.hosts.provider import HostsProvider, create
from cloudtrain.testing.clock import FakeClock

from .conftest import Street

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ONE, TWO = (HostSpec(f"gpu{number}.lab.example", 22, host_keys=(KEY,)) for number in (1, 2))
RTX = {"name": "NVIDIA GeForce RTX 4090", "memory_mib": 24564, "driver": "570.1", "compute_capability": "8.9"}
BIG = {"cpus": 32, "memory_bytes": 128 * 1024**3, "gpus": [RTX, RTX]}


@pytest.fixture
def make(street: Street, make_provider: Callable[..., HostsProvider]) -> Callable[..., HostsProvider]:
    def provider(*hosts: HostSpec, laptop: str = "mine") -> HostsProvider:
        return make_provider(*(hosts or (ONE, TWO)), laptop=laptop, on_host=street.on_host)

    return provider


@pytest.fixture
def order(make: Callable[..., HostsProvider], make_order: Callable[..., LaunchOrder]) -> LaunchOrder:
    return make_order(make().offers(Resources())[0])


def anothers(order: LaunchOrder) -> LaunchOrder:
    return replace(order, token="ct-another", owner="bob-laptop", machine=replace(order.machine, name="bobs"))


def shown(instances: object) -> list[tuple[str, InstanceState]]:
    return [(i.owner, i.state) for i in instances]


class TestOffers:
    def test_a_machine_is_an_offer_with_what_it_told_and_what_its_owner_wrote_down(
        self, make, street: Street, clock: FakeClock
    ) -> None:
        street.facts[ONE.address] = BIG
        one, two = make(ONE, replace(TWO, usd_per_hour=0.35)).offers(Resources())
        assert (one.instance_type, one.region, one.zone) == ("gpu1.lab.example:22", "hosts", "gpu1.lab.example:22")
        assert (one.gpu, one.gpu_count, one.gpu_memory_gib, one.compute_capability) == ("RTX4090", 2, 24.0, "8.9")
        assert (one.vcpus, one.memory_gib) == (32, 128.0)
        assert (one.usd_per_hour, one.priced_on, one.source) == (0.0, None, "none")
        assert (two.usd_per_hour, two.priced_on, two.source) == (0.35, clock.now().date(), "config")

    def test_resources_choose_among_them(self, make, street: Street) -> None:
        street.facts[TWO.address] = BIG
        assert [offer.zone for offer in make().offers(Resources(gpu="rtx4090", gpus=2))] == [TWO.name]

    def test_each_is_asked_once_in_a_command(self, make, street: Street) -> None:
        provider = make()
        provider.offers(Resources())
        provider.offers(Resources(cpus=1))
        assert sorted(street.heard) == [(ONE.address, "facts"), (TWO.address, "facts")]

    def test_a_silent_one_is_left_out_and_the_others_are_offered(self, make, street: Street) -> None:
        street.silent.add(ONE.address)
        assert [offer.zone for offer in make().offers(Resources())] == [TWO.name]

    def test_when_all_are_silent_that_is_said(self, make, street: Street) -> None:
        street.silent |= {ONE.address, TWO.address}
        with pytest.raises(ProviderUnavailableError) as raised:
            make().offers(Resources())
        assert ONE.name in raised.value.message
        assert TWO.name in raised.value.message
        assert raised.value.hint.endswith("ssh -p 22 gpu1.lab.example")

    @pytest.mark.parametrize(
        "facts",
        [
            {"gpus": "many", "cpus": "all", "memory_bytes": True},
            {"gpus": [None, 7, {"name": 3, "memory_mib": "x", "compute_capability": "new"}], "cpus": -1, "memory_bytes": 1e99},
        ],
    )
    def test_nonsense_counts_for_nothing(self, make, street: Street, facts: dict[str, object]) -> None:
        street.facts[ONE.address] = facts
        (offer,) = make(ONE).offers(Resources())
        assert (offer.gpu, offer.gpu_memory_gib, offer.vcpus, offer.memory_gib, offer.compute_capability) == ("", 0, 0, 0, "")


class TestClaims:
    def test_anothers_live_claim_is_no_capacity_and_names_its_owner(self, make, order: LaunchOrder) -> None:
        make(laptop="bobs").launch(anothers(order))
        mine = make()
        with pytest.raises(NoCapacityError, match="claimed by bob-laptop until"):
            mine.launch(order)
        assert shown(mine.list_owned()) == [("bob-laptop", InstanceState.RUNNING)]

    def test_an_expired_claim_still_runs_for_its_owner_until_somebody_takes_it_over(
        self, make, order: LaunchOrder, clock: FakeClock
    ) -> None:
        bob = make(laptop="bobs")
        over = replace(anothers(order), lease=Lease(clock.now(), 0.0))
        bobs = bob.launch(over)
        assert (bob.get(bobs.ref).state, bob.get(bobs.ref).deadline) == (InstanceState.RUNNING, clock.now())
        assert make().launch(order).owner == order.owner
        with pytest.raises(InstanceNotFoundError):
            bob.get(bobs.ref)
        bob.terminate(bobs.ref)
        assert shown(make().list_owned()) == [(order.owner, InstanceState.RUNNING)]

    def test_what_another_laptop_of_mine_claimed_is_found_and_ended(self, make, order: LaunchOrder) -> None:
        make().launch(order)
        other = make(laptop="other")
        (found,) = other.list_owned()
        assert found.endpoint is not None
        other.terminate(found.ref)
        assert list(make().list_owned()) == []

    def test_extend_tells_the_machine_and_not_anothers(self, make, order: LaunchOrder, clock: FakeClock) -> None:
        mine = make().launch(order)
        later = Lease(order.lease.deadline + timedelta(hours=3), 0.0)
        make(laptop="other").extend(mine.ref, later)
        assert make().get(mine.ref).deadline == later.deadline
        with pytest.raises(InstanceNotFoundError):
            make().extend(replace(mine.ref, id="host-000000000000"), later)

    def test_a_machine_that_left_the_config_is_still_found(self, make, order: LaunchOrder) -> None:
        ref = make().launch(order).ref
        without = make(TWO)
        assert without.get(ref).state is InstanceState.RUNNING
        assert [instance.ref for instance in without.list_owned()] == [ref]
        without.terminate(ref)
        assert list(make().list_owned()) == []

    def test_a_machine_nobody_names_cannot_be_asked(self, make, order: LaunchOrder) -> None:
        ref = make().launch(order).ref
        with pytest.raises(ProviderUnavailableError, match="No machine config names"):
            make(TWO, laptop="other").get(ref)

    def test_an_id_that_is_none_never_becomes_a_path(self, make, order: LaunchOrder, tmp_path: Path) -> None:
        ref = make().launch(order).ref
        (record,) = (tmp_path / "mine" / "hosts").glob("host-*.json")
        precious = tmp_path / "mine" / "precious.json"
        precious.write_bytes(record.read_bytes())
        with pytest.raises(InstanceNotFoundError):
            make().get(replace(ref, id="../precious"))
        assert precious.exists()

    def test_without_a_config_in_use_every_config_is_asked(self, street: Street, tmp_path: Path, clock: FakeClock) -> None:
        settings = ProviderSettings(tmp_path, clock, lambda _: (), None, street.on_host, lambda: (ONE,))
        assert [offer.zone for offer in create(settings).offers(Resources())] == [ONE.name]

    def test_without_any_machine_there_is_nothing_and_that_is_well(self, tmp_path: Path, clock: FakeClock) -> None:
        provider = create(ProviderSettings(tmp_path, clock, lambda _: ()))
        assert (list(provider.offers(Resources())), list(provider.list_owned())) == ([], [])
        assert [finding.ok for finding in provider.check()] == [True]


class TestSilence:
    def test_a_silent_machine_is_no_capacity_and_nothing_is_left(self, make, street: Street, order: LaunchOrder) -> None:
        street.silent.add(ONE.address)
        with pytest.raises(NoCapacityError, match="does not answer"):
            make().launch(order)
        assert list(make().list_owned()) == []

    def test_a_line_that_breaks_over_the_claim_leaves_it_findable(self, make, street: Street, order: LaunchOrder) -> None:
        street.breaks_after = "take"
        with pytest.raises(ProviderUnavailableError):
            make().launch(order)
        (found,) = make().list_owned()
        assert (found.token, found.state, found.deadline) == (order.token, InstanceState.UNKNOWN, order.lease.deadline)
        assert found.state.bills_compute
        with pytest.raises(ProviderUnavailableError):
            make().terminate(found.ref)
        street.silent.clear()
        street.breaks_after = None
        assert shown(make().list_owned()) == [(order.owner, InstanceState.RUNNING)]
        make().terminate(found.ref)
        assert list(make(laptop="other").list_owned()) == []

    def test_nothing_is_concluded_from_silence(self, make, street: Street, order: LaunchOrder) -> None:
        ref = make().launch(order).ref
        street.silent.add(ONE.address)
        with pytest.raises(ProviderUnavailableError):
            make().get(ref)
        with pytest.raises(ProviderUnavailableError):
            make().extend(ref, order.lease)

    def test_a_machine_that_said_it_let_go_may_be_off(self, make, street: Street, order: LaunchOrder) -> None:
        ref = make().launch(order).ref
        make().terminate(ref)
        street.silent.add(ONE.address)
        assert make().get(ref).state is InstanceState.TERMINATED
        make().terminate(ref)
        assert list(make().list_owned()) == []

    def test_what_was_given_back_is_forgotten_after_a_day(self, make, order: LaunchOrder, clock: FakeClock) -> None:
        ref = make().launch(order).ref
        make().terminate(ref)
        clock.advance(25 * 3600)
        make().list_owned()
        with pytest.raises(InstanceNotFoundError):
            make().get(ref)

    def test_a_disk_without_room_refuses_before_anything_is_asked(
        self, make, order: LaunchOrder, street: Street, tmp_path: Path
    ) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "hosts").write_text("a file where a folder belongs")
        with pytest.raises(ProviderUnavailableError):
            make(laptop="full").launch(order)
        assert list(make().list_owned()) == []

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"claim": 3}'])
    def test_a_damaged_record_hides_no_machine(self, make, order: LaunchOrder, tmp_path: Path, content: bytes) -> None:
        ref = make().launch(order).ref
        (tmp_path / "mine" / "hosts" / f"{ref.id}.json").write_bytes(content)
        assert make().get(ref).state is InstanceState.RUNNING
        make().terminate(ref)
        assert list(make().list_owned()) == []


class TestImpostors:
    def test_another_machine_in_its_place_is_no_offer_and_check_says_so(self, make, street: Street) -> None:
        street.impostors.add(ONE.address)
        assert [offer.zone for offer in make().offers(Resources())] == [TWO.name]
        bad, good = make().check()
        assert (bad.ok, bad.subject, good.ok) == (False, ONE.name, True)
        assert "another host key" in bad.message
        assert "ssh-keygen -R gpu1.lab.example" in bad.hint

    def test_it_is_never_launched_on_nor_passed_over_in_silence(self, make, street: Street, order: LaunchOrder) -> None:
        street.impostors.add(ONE.address)
        with pytest.raises(ProviderError, match="another host key") as raised:
            make().launch(order)
        assert not isinstance(raised.value, NoCapacityError)
        assert list(make().list_owned()) == []

    @pytest.mark.parametrize(
        "content", [b"", b"[]", b"[" * 9999, b'{"claim": 7}', b'{"claim": {"token": "x"}}', b'{"error": "no\\u001b[2J"}']
    )
    def test_an_answer_that_is_none_is_an_error_in_words(self, make_provider, content: bytes) -> None:
        class Answer:
            exit_code, stdout, stderr = 0, content, b"Traceback\nboom \x1b[31m"

        provider = make_provider(ONE, on_host=lambda *_: Answer)
        with pytest.raises(ProviderError) as raised:
            provider.extend(_ref(), Lease(FakeClock().now(), 0.0))
        assert "\x1b" not in str(raised.value)

    def test_a_name_on_the_machine_cannot_paint_the_terminal(self, make, order: LaunchOrder) -> None:
        make(laptop="bobs").launch(replace(anothers(order), owner="bob\x1b[2J" + "b" * 999))
        with pytest.raises(NoCapacityError) as raised:
            make().launch(order)
        assert "bob[2Jbbb" in raised.value.message
        assert "\x1b" not in raised.value.message
        assert len(raised.value.message) < 500


class TestWaking:
    @pytest.fixture
    def listener(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.settimeout(30)
            yield listener

    @pytest.fixture
    def sleeper(self, listener: socket.socket) -> HostSpec:
        return replace(ONE, wake=Wake("aa:bb:cc:dd:ee:0f", "127.0.0.1", listener.getsockname()[1]))

    def test_a_sleeping_machine_is_woken_then_claimed_when_it_answers(
        self, make, street: Street, order: LaunchOrder, sleeper: HostSpec, listener: socket.socket
    ) -> None:
        street.silent.add(ONE.address)
        pending = make(sleeper).launch(order)
        assert listener.recv(200) == b"\xff" * 6 + bytes.fromhex("aabbccddee0f") * 16
        assert (pending.state, pending.deadline, pending.endpoint) == (InstanceState.PENDING, order.lease.deadline, None)
        assert shown(make(sleeper).list_owned()) == [(order.owner, InstanceState.PENDING)]
        assert make(sleeper).get(pending.ref).state is InstanceState.PENDING
        street.silent.clear()
        assert make(sleeper).get(pending.ref).state is InstanceState.RUNNING
        assert shown(make(laptop="other").list_owned()) == [(order.owner, InstanceState.RUNNING)]

    def test_one_that_never_wakes_is_ended_without_it(
        self, make, street: Street, order: LaunchOrder, sleeper: HostSpec
    ) -> None:
        street.silent.add(ONE.address)
        ref = make(sleeper).launch(order).ref
        make(sleeper).terminate(ref)
        assert list(make(sleeper).list_owned()) == []

    def test_somebody_quicker_is_told(self, make, street: Street, order: LaunchOrder, sleeper: HostSpec) -> None:
        street.silent.add(ONE.address)
        ref = make(sleeper).launch(order).ref
        street.silent.clear()
        make(laptop="bobs").launch(anothers(order))
        with pytest.raises(InstanceNotFoundError, match="bob-laptop"):
            make(sleeper).get(ref)

    def test_it_is_offered_as_it_was_last_seen_after_those_that_are_awake(
        self, make, street: Street, sleeper: HostSpec
    ) -> None:
        street.facts[ONE.address] = BIG
        make(sleeper, TWO).offers(Resources())
        street.silent.add(ONE.address)
        offers = make(replace(sleeper, usd_per_hour=0.1), TWO).offers(Resources())
        assert [(o.zone, o.gpu_count, o.usd_per_hour) for o in offers] == [(TWO.name, 0, 0.0), (ONE.name, 2, 0.1)]
        (asleep, _) = make(sleeper, TWO).check()
        assert asleep.ok
        assert "aa:bb:cc:dd:ee:0f" in asleep.message

    def test_one_that_was_never_seen_satisfies_no_need_but_none(self, make, street: Street, sleeper: HostSpec) -> None:
        street.silent.add(ONE.address)
        assert [offer.zone for offer in make(sleeper).offers(Resources())] == [ONE.name]
        assert list(make(sleeper).offers(Resources(gpus=1))) == []

    def test_a_network_that_cannot_be_reached_is_said(self, make, street: Street, order: LaunchOrder) -> None:
        street.silent.add(ONE.address)
        lost = replace(ONE, wake=Wake("aa:bb:cc:dd:ee:0f", "256.0.0.1"))
        with pytest.raises(ProviderUnavailableError, match="cannot be sent"):
            make(lost).launch(order)
        assert list(make(lost).list_owned()) == []


def test_check_says_what_each_has_and_who_has_it(make, street: Street, order: LaunchOrder, clock: FakeClock) -> None:
    street.facts[ONE.address] = BIG
    make().launch(order)
    one, two = make().check()
    until = f"{order.lease.deadline:%Y-%m-%d %H:%M} UTC"
    assert one.message == f"2 x RTX4090 (24 GiB), 32 CPUs, 128 GiB of memory; claimed by alice-laptop until {until}"
    assert two.message.endswith("; free")
    clock.advance(3 * 3600)
    assert make().check()[0].message.endswith(f"; free: the claim of alice-laptop ended {until}")


def test_the_claim_on_the_machine_holds_the_order(make, street: Street, order: LaunchOrder) -> None:
    made: Instance = make().launch(replace(order, run_id="20261121-x"))
    (path,) = street.home(ONE).glob("claims/*.json")
    kept = json.loads(path.read_text())
    assert (kept["token"], kept["owner"], kept["name"], kept["run_id"]) == (
        order.token,
        order.owner,
        order.machine.name,
        "20261121-x",
    )
    assert kept["deadline"] == order.lease.deadline.timestamp()
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.usd_per_hour == 0.0


def _ref():
    from cloudtrain.model.instance import InstanceRef

    return InstanceRef("hosts", "host-000000000000", "hosts", ONE.name)
