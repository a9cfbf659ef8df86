import json
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, NoCapacityError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import InstanceRef, InstanceState, LaunchOrder, MemoryEndpoint
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Market, Resources
from cloudtrain.providers.base import Pausable, ProviderSettings
from cloudtrain.providers.memory import DictStore, FileStore, MemoryProvider, create
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.provider_contract import ProviderContract


def offer_of(provider: MemoryProvider, instance_type: str = "mem.cpu", market: Market = Market.ON_DEMAND):
    return next(o for o in provider.offers(Resources()) if (o.instance_type, o.market) == (instance_type, market))


@pytest.fixture
def provider(settings: ProviderSettings) -> MemoryProvider:
    return MemoryProvider(settings, DictStore())


@pytest.fixture
def order(provider: MemoryProvider, make_order: Callable[..., LaunchOrder]) -> LaunchOrder:
    return make_order(offer_of(provider))


class TestContract(ProviderContract):
    """The law, with the store in this process."""


class TestContractOnAFile(ProviderContract):
    """The law, with the store that processes share."""

    @pytest.fixture
    def provider(self, settings: ProviderSettings) -> MemoryProvider:
        return create(settings)


class TestContractWithSlowBoots(ProviderContract):
    """The law, where a machine takes its time."""

    @pytest.fixture
    def provider(self, settings: ProviderSettings) -> MemoryProvider:
        return MemoryProvider(settings, DictStore(), boot_s=90)


def test_it_can_pause(provider: MemoryProvider) -> None:
    assert isinstance(provider, Pausable)


def test_offers_are_two_types_in_two_regions_on_two_markets(provider: MemoryProvider, clock: FakeClock) -> None:
    offers = provider.offers(Resources())
    assert len(offers) == len({(o.instance_type, o.region, o.market) for o in offers}) == 8
    assert {o.usd_per_hour for o in offers} == {0.1, 1.0, 0.0333, 0.3333}
    assert {o.priced_on for o in offers} == {clock.now().date()}
    assert {o.instance_type for o in provider.offers(Resources(gpus=1))} == {"mem.gpu"}


def test_a_machine_is_pending_until_it_booted(settings: ProviderSettings, clock: FakeClock, order: LaunchOrder) -> None:
    slow = MemoryProvider(settings, DictStore(), boot_s=30)
    launched = slow.launch(order)
    assert (launched.state, launched.endpoint) == (InstanceState.PENDING, None)
    clock.advance(29)
    assert slow.get(launched.ref).state is InstanceState.PENDING
    clock.advance(1)
    assert slow.get(launched.ref).state is InstanceState.RUNNING


def test_the_endpoint_is_a_folder_that_exists(provider: MemoryProvider, order: LaunchOrder, settings: ProviderSettings) -> None:
    seen = provider.get(provider.launch(order).ref)
    assert seen.endpoint == MemoryEndpoint(settings.home / "memory-machines" / seen.ref.id)
    assert seen.endpoint.root.is_dir()
    assert seen.ref.id.startswith("mem-")
    assert len(seen.ref.id) == len("mem-") + 8


def root_of(provider: MemoryProvider, ref: InstanceRef) -> Path:
    endpoint = provider.get(ref).endpoint
    assert isinstance(endpoint, MemoryEndpoint)
    return endpoint.root


@pytest.mark.parametrize("look", ["get", "list_owned", "launch"])
def test_any_look_after_the_deadline_finds_the_machine_ended_and_its_job_too(
    provider: MemoryProvider, order: LaunchOrder, clock: FakeClock, job, look: str
) -> None:
    ref = provider.launch(order).ref
    root = root_of(provider, ref)
    process = job(root)
    clock.advance(2 * 3600 - 1)
    assert provider.get(ref).state is InstanceState.RUNNING
    assert process.poll() is None
    clock.advance(1)
    {"get": lambda: provider.get(ref), "list_owned": provider.list_owned, "launch": lambda: provider.launch(order)}[look]()
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not root.exists()
    assert provider.get(ref).state is InstanceState.TERMINATED
    assert provider.list_owned() == ()


def test_an_extended_machine_outlives_its_first_deadline(
    provider: MemoryProvider, order: LaunchOrder, clock: FakeClock
) -> None:
    ref = provider.launch(order).ref
    provider.extend(ref, Lease(clock.now() + timedelta(hours=5), 0.1))
    clock.advance(4 * 3600)
    assert provider.get(ref).state is InstanceState.RUNNING
    clock.advance(3600)
    with pytest.raises(InstanceNotFoundError):
        provider.extend(ref, Lease(clock.now() + timedelta(hours=5), 0.1))


def test_terminate_ends_the_job_and_removes_the_folder(provider: MemoryProvider, order: LaunchOrder, job) -> None:
    ref = provider.launch(order).ref
    root = root_of(provider, ref)
    process = job(root)
    provider.terminate(ref)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not root.exists()


def test_stop_ends_the_job_keeps_the_folder_and_costs_a_little(
    provider: MemoryProvider, order: LaunchOrder, clock: FakeClock, job
) -> None:
    ref = provider.launch(order).ref
    root = root_of(provider, ref)
    (root / "kept").write_text("kept")
    process = job(root)
    provider.stop(ref)
    assert process.wait(timeout=30) == -signal.SIGKILL
    stopped = provider.get(ref)
    assert (stopped.state, stopped.usd_per_month_stopped, stopped.deadline) == (InstanceState.STOPPED, 0.50, None)
    clock.advance(30 * 24 * 3600)  # no meter runs, so no lease ends it
    assert provider.get(ref).state is InstanceState.STOPPED
    provider.start(ref, Lease(clock.now() + timedelta(hours=1), 0.1))
    assert (root_of(provider, ref) / "kept").read_text() == "kept"
    provider.stop(ref)
    with pytest.raises(ProviderError, match="stopped"):
        provider.extend(ref, Lease(clock.now() + timedelta(hours=1), 0.1))


def test_a_reclaimed_spot_machine_is_gone_with_its_job(provider: MemoryProvider, make_order, job) -> None:
    ref = provider.launch(make_order(offer_of(provider, "mem.gpu", Market.SPOT))).ref
    root = root_of(provider, ref)
    process = job(root)
    provider.reclaim(ref)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert provider.get(ref).state is InstanceState.TERMINATED
    assert not root.exists()
    with pytest.raises(InstanceNotFoundError):
        provider.reclaim(ref)


def test_an_on_demand_machine_is_never_reclaimed(provider: MemoryProvider, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    with pytest.raises(ValueError, match="on-demand"):
        provider.reclaim(ref)
    assert provider.get(ref).state is InstanceState.RUNNING


def test_it_can_be_told_to_fail_before_anything_happened(provider: MemoryProvider, order: LaunchOrder) -> None:
    provider.fail_next("launch", NoCapacityError("full"))
    with pytest.raises(NoCapacityError, match="full"):
        provider.launch(order)
    assert provider.list_owned() == ()
    assert provider.launch(order).state is InstanceState.PENDING


def test_it_can_be_told_to_fail_after_all_was_done(provider: MemoryProvider, order: LaunchOrder) -> None:
    provider.fail_next("launch", ProviderUnavailableError("the line broke"), after=True)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    (made,) = provider.list_owned()
    assert made.token == order.token
    assert provider.launch(order).ref == made.ref


@pytest.mark.parametrize("operation", ["offers", "get", "list_owned", "leftovers", "terminate", "extend", "stop", "start"])
def test_every_operation_can_fail_once(provider: MemoryProvider, order: LaunchOrder, operation: str) -> None:
    ref = provider.launch(order).ref
    given = {
        "offers": (Resources(),),
        "list_owned": (),
        "leftovers": (),
        "extend": (ref, order.lease),
        "start": (ref, order.lease),
    }.get(operation, (ref,))
    provider.fail_next(operation, ProviderError("told to"))
    with pytest.raises(ProviderError, match="told to"):
        getattr(provider, operation)(*given)
    getattr(provider, operation)(*given)


def test_an_operation_that_does_not_exist_cannot_fail(provider: MemoryProvider) -> None:
    with pytest.raises(ValueError, match="lunch"):
        provider.fail_next("lunch", ProviderError("x"))


def test_two_providers_on_one_file_see_one_cloud(settings: ProviderSettings, order: LaunchOrder) -> None:
    ref = create(settings).launch(order).ref
    other = create(settings)
    assert other.get(ref).state is InstanceState.RUNNING
    assert other.launch(order).ref == ref
    other.terminate(ref)
    assert create(settings).get(ref).state is InstanceState.TERMINATED
    assert (settings.home / "memory-cloud.json").stat().st_mode & 0o777 == 0o600


def test_two_processes_with_one_token_make_one_machine(settings: ProviderSettings, order: LaunchOrder, launch_twice) -> None:
    assert len(launch_twice(settings.home, order, "memory")) == 1
    assert len(create(settings).list_owned()) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"mem-00000000": 3}', '{"mem-00000000": {}}', '{"mem-0": {"id": "mem-0"}}']
)
def test_a_damaged_file_is_an_error_in_words(settings: ProviderSettings, content: str) -> None:
    settings.home.mkdir()
    (settings.home / "memory-cloud.json").write_text(content)
    with pytest.raises(ProviderUnavailableError, match="damaged"):
        create(settings).list_owned()


def test_a_record_that_names_no_folder_of_ours_is_refused(settings: ProviderSettings, order: LaunchOrder) -> None:
    create(settings).launch(order)
    file = settings.home / "memory-cloud.json"
    (record,) = json.loads(file.read_text()).values()
    precious = settings.home / "precious"
    precious.mkdir()
    file.write_text(json.dumps({"../precious": {**record, "id": "../precious"}}))
    with pytest.raises(ProviderUnavailableError, match="damaged"):
        create(settings).terminate(InstanceRef("memory", "../precious"))
    assert precious.is_dir()


def test_a_failed_change_of_the_file_leaves_it_as_it_was(settings: ProviderSettings) -> None:
    store = FileStore(settings.home / "memory-cloud.json")
    with store.change() as machines:
        machines["a"] = {"x": 1}
    with pytest.raises(KeyError), store.change() as machines:
        machines["b"] = machines.pop("a") | machines["no such machine"]
    with store.change() as machines:
        assert machines == {"a": {"x": 1}}
