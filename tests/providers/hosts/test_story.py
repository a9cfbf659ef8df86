"""The story on machines of one's own: the next one when the first is taken, and the same one seen once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudtrain import leasing, machines, overview, sweeping, workflow
from cloudtrain.journey import Interrupt, Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import NoOfferFitsError, ProviderError, ShutdownError
from cloudtrain.model.event import Event, Note
from cloudtrain.model.instance import Endpoint, InstanceState, LaunchOrder, SshEndpoint
from cloudtrain.model.lease import Lease
from cloudtrain.model.run import Outcome, RunPhase
from cloudtrain.model.spec import HostSpec, JobSpec, MachineSpec
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.hosts.provider import HostsProvider, create
from cloudtrain.remote.local import LocalRemote
from cloudtrain.testing.clock import FakeClock

from .conftest import Street

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ONE, TWO, THREE = (HostSpec(f"gpu{number}", 22, host_keys=(KEY,)) for number in (1, 2, 3))
LAB = MachineSpec("lab", "hosts", hosts=(ONE, TWO))


@dataclass
class World:
    """A laptop, its ledger and a street of machines; every line is a folder."""

    folder: Path
    street: Street
    clock: FakeClock
    ledger: Ledger
    events: list[Event]

    def provider(self, machine: MachineSpec | None, laptop: str = "mine") -> HostsProvider:
        settings = ProviderSettings(self.folder / laptop, self.clock, lambda _: (), machine, self.street.on_host)
        return create(settings)

    @property
    def tools(self) -> Tools:
        return Tools(
            ledger=self.ledger,
            clock=self.clock,
            tell=self.events.append,
            open_provider=self.provider,
            open_remote=self._open,
            owner="me-here",
            on_interrupt=lambda _: Interrupt.SHUT_DOWN,
            provider_names=("hosts",),
        )

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Note))

    def job(self, command: str) -> JobSpec:
        folder = self.folder / "job"
        folder.mkdir(exist_ok=True)
        return JobSpec("thing", folder, command)

    def claim_for_bob(self, host: HostSpec) -> None:
        bobs = MachineSpec("bobs", "hosts", hosts=(host,))
        provider = self.provider(bobs, "bobs")
        (offer,) = provider.offers(bobs.resources)
        lease = Lease(self.clock.now() + timedelta(hours=2), 0.0)
        provider.launch(LaunchOrder(f"ct-bob-{host.name}", bobs, offer, lease, "bob-there"))

    def _open(self, endpoint: Endpoint) -> LocalRemote:
        assert isinstance(endpoint, SshEndpoint)
        return LocalRemote(self.street.folder / endpoint.host, self.folder / "cache")


@pytest.fixture
def world(tmp_path: Path, street: Street) -> Iterator[World]:
    clock = FakeClock(datetime.now(UTC))
    with Ledger.open(tmp_path / "mine", clock) as ledger:
        yield World(tmp_path, street, clock, ledger, [])


def test_when_the_first_is_claimed_the_job_goes_to_the_second(world: World) -> None:
    world.claim_for_bob(ONE)
    run = workflow.train(world.job("mkdir results && echo done > results/done"), LAB, world.tools)
    assert (run.outcome, run.phase, run.usd) == (Outcome.SUCCEEDED, RunPhase.CLOSED, 0.0)
    assert run.instances[-1].zone == TWO.name
    assert (run.folder / "results" / "done").read_text() == "done\n"
    assert "claimed by bob-there until" in world.notes
    assert [i.owner for i in world.provider(LAB).list_owned()] == ["bob-there"]


def test_when_all_are_claimed_nothing_is_taken(world: World) -> None:
    world.claim_for_bob(ONE)
    world.claim_for_bob(TWO)
    with pytest.raises(NoOfferFitsError, match="nothing was rented"):
        workflow.train(world.job("true"), LAB, world.tools)


def test_a_machine_that_is_off_costs_no_more_than_a_look(world: World) -> None:
    world.street.silent.add(ONE.address)
    run = workflow.train(world.job("true"), LAB, world.tools)
    assert (run.outcome, run.instances[-1].zone) == (Outcome.SUCCEEDED, TWO.name)


def test_a_line_that_breaks_over_the_claim_leaves_the_run_open_and_the_machine_known(world: World) -> None:
    world.street.breaks_after = "take"
    with pytest.raises(ShutdownError):
        workflow.train(world.job("true"), LAB, world.tools)
    world.street.breaks_after = None
    world.street.silent.clear()
    (machine,) = overview.status(world.tools).machines
    assert (machine.instance.state, machine.instance.owner) == (InstanceState.RUNNING, "me-here")


def test_a_named_machine_is_started_extended_and_ended(world: World) -> None:
    started = machines.start(LAB, world.tools)
    assert (started.state, started.ref.zone) == (InstanceState.RUNNING, ONE.name)
    extended = leasing.extend("lab", world.tools, seconds=3600)
    assert extended.instance.deadline == extended.before + timedelta(hours=1)
    ran = workflow.train(world.job("true"), LAB, world.tools)
    assert (ran.outcome, ran.found_running) == (Outcome.SUCCEEDED, True)
    with pytest.raises(ProviderError, match="cannot stop"):
        machines.stop("lab", world.tools)
    machines.terminate("lab", world.tools)
    assert overview.status(world.tools).machines == ()


def test_every_config_that_was_used_is_asked_and_a_machine_in_two_of_them_is_shown_once(world: World) -> None:
    other = MachineSpec("other", "hosts", hosts=(TWO, THREE))
    for spec in (LAB, other):
        world.ledger.save_machine(spec, None)
    for host in (ONE, TWO, THREE):
        world.claim_for_bob(host)
    seen = [(machine.instance.ref.zone, machine.standing) for machine in overview.status(world.tools).machines]
    assert sorted(seen) == [(host.name, overview.Standing.ANOTHERS) for host in (ONE, TWO, THREE)]
    assert sweeping.unneeded(overview.status(world.tools)) == []


def test_what_the_ledger_forgot_is_remembered_with_its_machines_and_ended_by_its_name(world: World) -> None:
    world.ledger.save_machine(LAB, None)
    provider = world.provider(LAB, "a laptop that was lost")
    lost = replace(LAB, name="lost")
    order = LaunchOrder("ct-lost", lost, provider.offers(lost.resources)[1], Lease(world.clock.now(), 0.0), "me-here")
    provider.launch(replace(order, lease=Lease(world.clock.now() + timedelta(hours=1), 0.0)))
    (machine,) = overview.status(world.tools).machines
    assert machine.standing is overview.Standing.FORGOTTEN
    machines.terminate("lost", world.tools)
    assert list(world.provider(LAB).list_owned()) == []
