"""Launching on the pretend Azure: what is made, what ends it, and what stays when something goes wrong. Nothing does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from cloudtrain.model.errors import (
    CredentialsError,
    LedgerError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import GuestEnd
from cloudtrain.model.spec import MachineSpec, Market, OnFinish
from cloudtrain.providers.azure import tags
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.operation import Operation
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.operations import Operations
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.clock import FakeClock
from tests.providers.azure.conftest import Cloud

PUT_MACHINE = "Microsoft.Compute:virtualMachines/PUT"
GIVE_ROLE = "Microsoft.Authorization:roleAssignments/PUT"
SUBMIT = "Microsoft.ComputeSchedule:locations/virtualMachinesSubmitDeallocate"
DAILY = "Microsoft.DevTestLab:schedules/PUT"
LOOKS = "Microsoft.Authorization:roleDefinitions/GET"


@pytest.fixture
def prepared(provider: AzureProvider, cloud: Cloud) -> None:
    """Make the role by which machines end themselves."""
    provider.prepare_account()
    cloud.azure.forget_calls()


def broken_off(provider: AzureProvider, order: LaunchOrder) -> None:
    """Launch, and be interrupted while Azure makes the machine."""
    real = Operation.wait

    def wait(self: Operation) -> None:
        if "virtualMachines" in self.path:
            raise KeyboardInterrupt
        real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Operation, "wait", wait)
        with pytest.raises(KeyboardInterrupt):
            provider.launch(order)


def of_machine(cloud: Cloud) -> dict:
    return cloud.machine().properties


def told(cloud: Cloud) -> dict:
    """Return what the only machine finds as its user data."""
    return yaml.safe_load(cloud.machine().user_data)


def end_told(cloud: Cloud) -> str:
    return told(cloud)["bootcmd"][0][6]


def test_a_machine_and_all_it_has_goes_with_its_group(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(order)
    shown = of_machine(cloud)
    assert shown["storageProfile"]["osDisk"]["deleteOption"] == "Delete"
    assert shown["storageProfile"]["osDisk"]["diskSizeGB"] == 100
    assert shown["networkProfile"]["networkInterfaces"][0]["properties"]["deleteOption"] == "Delete"
    assert shown["securityProfile"]["securityType"] == "Standard"
    assert "plan" not in cloud.machine().resource.body
    held = cloud.azure.account.resources.values()
    assert {resource.group for resource in held} == {"ct-token-1"}
    addresses = [one for one in held if one.type == "Microsoft.Network/networkInterfaces"]
    configuration = addresses[0].properties["ipConfigurations"][0]["properties"]
    assert configuration["publicIPAddress"]["properties"]["deleteOption"] == "Delete"
    assert cloud.azure.violations() == []


def test_only_the_caller_may_connect_and_only_to_ssh(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(order)
    assert cloud.azure.may_reach("198.51.100.7", "ct-token-1", 22)
    assert not cloud.azure.may_reach("198.51.100.8", "ct-token-1", 22)
    assert not cloud.azure.may_reach("198.51.100.7", "ct-token-1", 80)


def test_the_machine_is_born_with_our_host_key_and_nobody_s_password(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    launched = provider.launch(order)
    assert launched.endpoint is not None
    assert told(cloud)["ssh_keys"]["ed25519_public"].strip() in launched.endpoint.host_keys
    assert of_machine(cloud)["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"] is True
    assert told(cloud)["ssh_pwauth"] is False


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("at_deadline", "end"), [(OnFinish.TERMINATE, GuestEnd.DELETE), (OnFinish.STOP, GuestEnd.DEALLOCATE)])
def test_a_machine_ends_itself_by_a_role_for_itself_alone(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, at_deadline: OnFinish, end: GuestEnd
) -> None:
    launched = provider.launch(replace(order, at_deadline=at_deadline))
    assert launched.guest_end is end
    assert end_told(cloud) == end.value
    (assignment,) = cloud.assignments()
    assert assignment.scope.lower() == cloud.machine().resource.id.lower()
    assert assignment.principal == cloud.machine().principal
    assert cloud.azure.violations() == []


def test_without_the_role_a_machine_has_no_identity_and_the_cloud_keeps_its_deadline(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    launched = provider.launch(order)
    assert launched.guest_end is GuestEnd.NONE
    assert cloud.machine().principal == ""
    assert end_told(cloud) == "none"
    assert set(cloud.azure.ends_of("ct-token-1")) == {order.lease.deadline}


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("at_deadline", "later_s"), [(OnFinish.TERMINATE, 45), (OnFinish.STOP, 0)])
def test_a_machine_that_deletes_itself_goes_before_the_cloud_that_could_only_deallocate_it(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, at_deadline: OnFinish, later_s: int
) -> None:
    launched = provider.launch(replace(order, at_deadline=at_deadline))
    assert launched.deadline == order.lease.deadline
    assert min(cloud.azure.ends_of("ct-token-1")) == order.lease.deadline + timedelta(seconds=later_s)


@pytest.mark.usefixtures("prepared")
def test_who_may_not_give_roles_rents_by_the_cloud_s_schedules_alone(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, said: list[str]
) -> None:
    cloud.azure.account.denied.add("Microsoft.Authorization/roleAssignments/write")
    launched = provider.launch(order)
    [sentence] = said
    assert "lacks Microsoft.Authorization/roleAssignments/write" in sentence
    assert "nothing on the machine ends it sooner when it is idle" in sentence
    assert launched.guest_end is provider.get(launched.ref).guest_end is GuestEnd.NONE
    assert cloud.machine().principal == ""
    assert launched.deadline == order.lease.deadline


def test_the_cloud_deallocates_at_the_deadline(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock
) -> None:
    ref = provider.launch(order).ref
    clock.sleep((order.lease.deadline - clock.now()).total_seconds() - 60)
    assert provider.get(ref).state is InstanceState.RUNNING
    cloud.azure.advance(0)
    clock.sleep(130)
    cloud.azure.settle()
    seen = wait_until(provider, ref, (InstanceState.STOPPED,), clock, 60)
    assert seen is not None
    assert seen.state is InstanceState.STOPPED


Look = Callable[[AzureProvider, InstanceRef], object]


@pytest.mark.parametrize(
    "look",
    [
        lambda provider, ref: provider.get(ref),
        lambda provider, ref: provider.list_owned(),
        lambda provider, ref: provider.let_in(ref),
    ],
)
def test_the_daily_schedule_is_armed_only_where_it_means_the_deadline(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock, said: list[str], look: Look
) -> None:
    far = replace(order, lease=replace(order.lease, deadline=clock.now() + timedelta(hours=30)))
    ref = provider.launch(far).ref
    assert cloud.counted(DAILY) == 0
    assert cloud.azure.ends_of(ref.id) == [far.lease.deadline]
    [when] = said
    assert f"after {clock.now() + timedelta(hours=6, minutes=2):%Y-%m-%d %H:%M} UTC arms it" in when
    clock.sleep(6 * 3600)
    look(provider, ref)
    assert cloud.counted(DAILY) == 0
    clock.sleep(3600)
    look(provider, ref)
    assert cloud.counted(DAILY) == 1
    assert len(cloud.azure.ends_of(ref.id)) == 2
    assert min(cloud.azure.ends_of(ref.id)) == far.lease.deadline
    assert said[1:] == [f"The second line that ends azure-mine is armed now, for {far.lease.deadline:%Y-%m-%d %H:%M} UTC."]
    look(provider, ref)
    assert (cloud.counted(DAILY), len(said)) == (1, 2)


@pytest.mark.parametrize("look", [lambda provider, ref: provider.get(ref), lambda provider, ref: provider.list_owned()])
def test_a_second_line_that_cannot_be_armed_is_said_and_no_look_tries_again(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock, said: list[str], look: Look
) -> None:
    far = replace(order, lease=replace(order.lease, deadline=clock.now() + timedelta(hours=30)))
    ref = provider.launch(far).ref
    clock.sleep(7 * 3600)
    cloud.fail(DAILY, "RequestDisallowedByPolicy", http=403, times=9)
    for _ in range(3):
        look(provider, ref)
    assert cloud.counted(DAILY) == 1
    assert "cannot be armed; the first stands" in said[1]
    assert "RequestDisallowedByPolicy" in said[1]
    cloud.azure.faults.clear()
    provider.let_in(ref)
    assert "is armed now" in said[2]


def test_a_machine_that_is_off_has_no_second_line_armed(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock
) -> None:
    far = replace(order, lease=replace(order.lease, deadline=clock.now() + timedelta(hours=30)))
    ref = provider.launch(far).ref
    provider.stop(ref)
    cloud.azure.advance(600)
    clock.sleep(7 * 3600)
    assert provider.get(ref).state is InstanceState.STOPPED
    assert cloud.counted(DAILY) == 0


@pytest.mark.parametrize("name", [SUBMIT, DAILY])
def test_one_schedule_is_enough(provider: AzureProvider, cloud: Cloud, order: LaunchOrder, name: str) -> None:
    cloud.fail(name, "AuthorizationFailed", http=403, times=9)
    assert provider.launch(order).deadline == order.lease.deadline
    assert len(cloud.azure.ends_of("ct-token-1")) == 1


def test_a_machine_that_nothing_would_end_is_not_kept(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, remains: Callable[[], list[str]]
) -> None:
    for name in (SUBMIT, DAILY):
        cloud.fail(name, "AuthorizationFailed", http=403, times=9)
    with pytest.raises(ProviderError, match="would end it at its deadline") as raised:
        provider.launch(order)
    assert "cloudtrain setup azure" in raised.value.hint
    assert remains() == []


@pytest.mark.usefixtures("prepared")
def test_a_machine_that_ends_itself_needs_no_schedule(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    for name in (SUBMIT, DAILY):
        cloud.fail(name, "AuthorizationFailed", http=403, times=9)
    launched = provider.launch(order)
    assert (launched.guest_end, launched.deadline) == (GuestEnd.DELETE, order.lease.deadline)


def test_spot_is_bought_for_no_more_than_the_lease_was_reckoned_with(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    offer = replace(order.offer, market=Market.SPOT, usd_per_hour=0.15)
    lease = replace(order.lease, usd_per_hour=offer.most_usd_per_hour, budget_usd=1.0)
    launched = provider.launch(replace(order, offer=offer, lease=lease, at_deadline=OnFinish.STOP))
    shown = of_machine(cloud)
    assert launched.market is Market.SPOT
    assert (shown["priority"], shown["evictionPolicy"]) == ("Spot", "Delete")
    assert shown["billingProfile"]["maxPrice"] == pytest.approx(0.165)


def test_without_a_budget_spot_is_not_given_back_for_its_price(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT)))
    assert of_machine(cloud)["billingProfile"] == {"maxPrice": -1}  # Azure's own word for as much as on demand


def test_an_evicted_machine_leaves_its_group_which_is_found(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock, remains: Callable[[], list[str]]
) -> None:
    ref = provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT))).ref
    cloud.azure.reclaim(ref.id, 30)
    cloud.azure.advance(120)
    assert provider.get(ref).state is InstanceState.TERMINATED
    assert provider.list_owned() == ()
    clock.sleep(1000)
    (left,) = provider.leftovers()
    assert (left.kind, left.id, left.owner, left.usd_per_month) == ("group", ref.id, "Alice@laptop", 0.0)
    provider.remove(left)
    assert remains() == []


@pytest.mark.parametrize(
    ("code", "http", "kind"),
    [
        ("AllocationFailed", 0, NoCapacityError),  # 0: told by the operation, with status 200
        ("ZonalAllocationFailed", 0, NoCapacityError),
        ("OverconstrainedAllocationRequest", 0, NoCapacityError),
        ("OSProvisioningTimedOut", 0, NoCapacityError),
        ("AllocationFailed", 409, NoCapacityError),
        ("SkuNotAvailable", 409, NoCapacityError),
        ("QuotaExceeded", 409, QuotaExceededError),
        ("RequestDisallowedByPolicy", 403, PermissionDeniedError),
        ("ReadOnlyDisabledSubscription", 409, PermissionDeniedError),
        ("SomethingNew", 409, ProviderError),
    ],
)
def test_a_machine_that_azure_cannot_make_leaves_nothing(
    provider: AzureProvider,
    cloud: Cloud,
    order: LaunchOrder,
    remains: Callable[[], list[str]],
    code: str,
    http: int,
    kind: type[ProviderError],
) -> None:
    cloud.fail(PUT_MACHINE, code, http=http)
    with pytest.raises(kind, match=code) as raised:
        provider.launch(order)
    assert type(raised.value) is kind
    assert raised.value.hint
    assert remains() == []
    assert provider.list_owned() == ()


def test_a_quota_that_is_too_small_is_named_with_its_numbers(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, remains: Callable[[], list[str]]
) -> None:
    cloud.azure.set_quota("standardNCASv3_T4Family", 0)
    with pytest.raises(QuotaExceededError, match=r"T4Family Cores has 0 vCPU, 0 in use, and 4 more are needed") as raised:
        provider.launch(order)
    assert "eastus" in raised.value.hint
    assert remains() == []


@pytest.mark.thorough
def test_launch_leaves_nothing_whatever_call_in_it_fails(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, remains: Callable[[], list[str]], account: Account
) -> None:
    provider.prepare_account()
    cloud.azure.forget_calls()
    provider.terminate(provider.launch(order).ref)
    named = sorted({name for name in cloud.named() if "resourceGroups/DELETE" not in name})
    assert len(named) >= 14
    outcomes: dict[str, str] = {}
    for place, name in enumerate(named):
        for after, code in ((False, "AuthorizationFailed"), (True, "")):
            provider.list_owned()  # what was left undone ends now
            cloud.azure.faults.clear()
            assert remains() == [], name
            cloud.fail(name, code, http=403, after=after, times=99)
            one = replace(order, token=f"ct-try-{place}-{int(after)}")
            try:
                made = provider.launch(one)
            except ProviderError as error:
                outcomes[name] = type(error).__name__
                cloud.azure.faults.clear()
                assert remains() == [], name
                assert account.keys.keys_of(one.token) is None, name
            else:
                cloud.azure.faults.clear()
                assert made.deadline == order.lease.deadline
                provider.terminate(made.ref)
    assert outcomes[PUT_MACHINE] == "ProviderUnavailableError"
    assert not {GIVE_ROLE, SUBMIT, DAILY} & outcomes.keys()


def test_a_launch_that_was_broken_off_is_finished_by_the_same_order(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, operations: Operations
) -> None:
    cloud.azure.durations.create = 200
    broken_off(provider, order)
    assert operations.noted(order.token) is not None
    cloud.azure.forget_calls()
    launched = provider.launch(order)
    assert (launched.state, launched.deadline) == (InstanceState.RUNNING, order.lease.deadline)
    assert {PUT_MACHINE, SUBMIT, DAILY}.isdisjoint(cloud.named())
    assert operations.noted(order.token) is None


def test_what_is_noted_of_an_operation_and_cannot_be_read_is_not_needed(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, operations: Operations
) -> None:
    broken_off(provider, order)
    operations.note(order.token, '{"act": ')
    cloud.azure.advance(60)
    assert provider.launch(order).deadline == order.lease.deadline
    assert cloud.counted(PUT_MACHINE) == 1


def test_an_operation_that_azure_keeps_no_more_costs_no_machine(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    broken_off(provider, order)
    cloud.azure.advance(60)
    cloud.fail("Microsoft.Resources:locations/operations/GET", "ResourceNotFound", http=404, times=99)
    assert provider.launch(order).state is InstanceState.RUNNING
    assert cloud.counted(PUT_MACHINE) == 1


def test_a_machine_whose_operation_cannot_be_written_down_is_deleted(
    provider: AzureProvider,
    cloud: Cloud,
    order: LaunchOrder,
    operations: Operations,
    remains: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_token: str, _continuation: str) -> None:
        raise LedgerError("The disk is full")

    monkeypatch.setattr(operations, "note", full)
    with pytest.raises(LedgerError, match="full"):
        provider.launch(order)
    assert cloud.counted(PUT_MACHINE) == 1
    assert remains() == []


def test_a_machine_that_failed_while_nobody_listened_is_told_and_deleted(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, remains: Callable[[], list[str]]
) -> None:
    cloud.fail(PUT_MACHINE, "AllocationFailed")
    broken_off(provider, order)
    cloud.azure.advance(60)
    with pytest.raises(NoCapacityError, match="AllocationFailed"):
        provider.launch(order)
    assert remains() == []


def test_an_order_whose_machine_is_gone_makes_no_other(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, remains: Callable[[], list[str]]
) -> None:
    spot = replace(order, offer=replace(order.offer, market=Market.SPOT))
    ref = provider.launch(spot).ref
    cloud.azure.reclaim(ref.id, 30)
    cloud.azure.advance(120)
    cloud.azure.forget_calls()
    with pytest.raises(NoCapacityError, match="an order makes one machine"):
        provider.launch(spot)
    assert cloud.counted(PUT_MACHINE) == 0
    assert remains() == []


@pytest.mark.parametrize("name", ["Microsoft.Compute:virtualMachines/GET", "Microsoft.Network:publicIPAddresses/GET"])
def test_a_machine_that_is_there_survives_that_its_order_is_asked_again_over_a_broken_line(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, name: str
) -> None:
    ref = provider.launch(order).ref
    cloud.fail(name, times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    cloud.azure.faults.clear()
    assert provider.get(ref).state is InstanceState.RUNNING


def test_a_machine_that_is_being_made_survives_a_line_that_breaks_when_its_order_is_asked_again(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    cloud.azure.durations.create = 100
    broken_off(provider, order)
    cloud.fail("Microsoft.Resources:locations/operations/GET", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    cloud.azure.faults.clear()
    assert provider.launch(order).deadline == order.lease.deadline
    assert cloud.counted(PUT_MACHINE) == 1


def test_an_order_whose_machine_is_being_deleted_makes_no_other(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    cloud.azure.durations.delete = 600
    provider.terminate(provider.launch(order).ref)
    with pytest.raises(NoCapacityError, match="an order makes one machine"):
        provider.launch(order)


def test_a_resource_provider_that_is_not_registered_is_registered_and_said(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, account: Account, said: list[str]
) -> None:
    cloud.azure.account.registered -= {"Microsoft.ComputeSchedule", "Microsoft.DevTestLab"}
    launched: Instance = provider.launch(order)
    assert launched.deadline == order.lease.deadline
    assert set(account.arm.registered) == {"Microsoft.ComputeSchedule", "Microsoft.DevTestLab"}
    assert sorted(sentence.partition(":")[0] for sentence in said) == [
        "This subscription has not used Microsoft.ComputeSchedule before",
        "This subscription has not used Microsoft.DevTestLab before",
    ]
    assert len(cloud.azure.ends_of("ct-token-1")) == 2


def test_who_may_not_register_is_told_the_line_to_type(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.azure.account.registered.discard("Microsoft.Network")
    cloud.azure.account.denied.add("Microsoft.Network/register/action")
    with pytest.raises(PermissionDeniedError) as raised:
        provider.launch(order)
    assert raised.value.hint == "Once per subscription: az provider register --namespace Microsoft.Network"


def test_wrong_credentials_are_said_to_be_wrong(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret-and-wrong")
    with pytest.raises(CredentialsError, match="Invalid client secret") as raised:
        provider.launch(order)
    assert "AZURE_CLIENT_SECRET in the environment" in raised.value.hint
    assert "az login" not in raised.value.hint
    assert "s3cret-and-wrong" not in str(raised.value)


def test_a_subnet_of_one_s_own_is_used_and_another_word_is_refused(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    with pytest.raises(ProviderError, match="no subnet"):
        provider.launch(replace(order, machine=replace(order.machine, network="default")))
    assert cloud.named() == []
    provider.launch(order)
    own = next(one for one in cloud.azure.account.resources.values() if one.type.endswith("virtualNetworks"))
    second = replace(order, token="ct-token-2", machine=replace(order.machine, network=f"{own.id}/subnets/machine"))
    provider.launch(second)
    networks = [one for one in cloud.azure.account.resources.values() if one.type.endswith("virtualNetworks")]
    assert networks == [own]


def test_how_often_azure_is_asked(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.prepare_account()
    cloud.azure.forget_calls()
    ref = provider.launch(order).ref
    changes = [name for name in cloud.named() if name.endswith(("/PUT", "/PATCH", "/DELETE")) or "Submit" in name]
    assert sorted(changes) == sorted(
        [
            "Microsoft.Resources:resourceGroups/PUT",
            "Microsoft.Network:networkSecurityGroups/PUT",
            "Microsoft.Network:publicIPAddresses/PUT",
            "Microsoft.Network:virtualNetworks/PUT",
            "Microsoft.Network:networkInterfaces/PUT",
            PUT_MACHINE,
            GIVE_ROLE,
            SUBMIT,
            DAILY,
            "Microsoft.Resources:resourceGroups/PATCH",
        ]
    )
    assert len(cloud.named()) <= 32
    assert cloud.counted("Entra:token") == 0
    cloud.azure.forget_calls()
    provider.get(ref)
    assert len(cloud.named()) == 3
    cloud.azure.forget_calls()
    provider.terminate(ref)
    assert len(cloud.named()) == 2


def test_threads_that_ask_at_once_log_in_once(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(order)
    assert cloud.counted("Entra:token") == 1


def test_what_a_person_finds_on_the_group_says_whose_it_is(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(order)
    known = cloud.group()
    assert (known[tags.NAME], known[tags.OWNER], known[tags.RUN]) == ("azure-mine", "Alice@laptop", "run-7")
    assert cloud.machine().tags[tags.TOKEN] == order.token


def test_a_subscription_is_prepared_for_itself_alone(
    provider: AzureProvider, account: Account, make_account: Callable[[MachineSpec | None], Account], machine: MachineSpec
) -> None:
    assert not provider.is_prepared()
    provider.prepare_account()
    assert provider.is_prepared()
    same = replace(machine, subscription=account.arm.subscription.upper())
    assert AzureProvider(make_account(same).settings).is_prepared()
    other = replace(machine, subscription="11111111-1111-4111-8111-111111111111")
    assert not AzureProvider(make_account(other).settings).is_prepared()


def test_without_a_subscription_nothing_is_prepared(provider: AzureProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.prepare_account()
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")
    assert not AzureProvider(provider._account.settings).is_prepared()


@pytest.mark.parametrize("name", [SUBMIT, DAILY])
def test_a_line_that_could_not_be_armed_beside_another_is_said(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, said: list[str], name: str
) -> None:
    cloud.fail(name, "RequestDisallowedByPolicy", http=403, times=9)
    provider.launch(order)
    [sentence] = said
    assert sentence.startswith("Not all that would end azure-mine at its deadline is armed; the rest is: ")
    assert "RequestDisallowedByPolicy" in sentence
