"""Two machines of one's own: real SSH servers on loopback with real guests; only the laptop's clock is ours."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudtrain.guest import claim
from cloudtrain.guest.errors import GuestError
from cloudtrain.model.errors import HostKeyError, HostUnreachableError
from cloudtrain.model.instance import SshEndpoint
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import HostSpec, MachineSpec, Resources
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.hosts.provider import HostsProvider, create
from cloudtrain.remote.base import Completed
from cloudtrain.remote.guest_lines import GuestLines
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.ssh_server import SshServer, find_sshd, openssh_server


@dataclass(frozen=True)
class Box:
    """A machine of one's own, and the home of our account on it."""

    host: HostSpec
    home: Path

    @property
    def claims(self) -> list[Path]:
        return sorted(self.home.glob(".cloudtrain/claims/*.json"))


def host_of(server: SshServer) -> HostSpec:
    end = server.endpoint
    options = {"IdentityFile": str(end.identity_file), "IdentitiesOnly": "yes"}
    return HostSpec(end.host, end.port, end.user, end.host_keys, options=options)


@pytest.fixture(scope="package")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, Box]]:
    if find_sshd() is None:
        pytest.skip("no sshd here: install the package openssh-server")
    with ExitStack() as stack:
        servers = [stack.enter_context(openssh_server(tmp_path_factory.mktemp("box"))) for _ in range(2)]
        yield tuple(Box(host_of(server), server.home) for server in servers)


@pytest.fixture(scope="package")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestLines]:
    with GuestLines(tmp_path_factory.mktemp("lines")) as lines:
        yield lines


@pytest.fixture(scope="package")
def offers(boxes: tuple[Box, Box], lines: GuestLines, tmp_path_factory: pytest.TempPathFactory) -> tuple[Offer, ...]:
    """What the two machines are made of, asked once."""
    machine = MachineSpec("mybox", "hosts", hosts=tuple(box.host for box in boxes))
    home = tmp_path_factory.mktemp("laptop")
    return tuple(create(ProviderSettings(home, FakeClock(), lambda _: (), machine, lines.ask)).offers(Resources()))


@pytest.fixture
def make_provider(tmp_path: Path, clock: FakeClock, lines: GuestLines) -> Callable[..., HostsProvider]:
    """Make the provider of a laptop, which has a state folder of its own, with these machines in its config."""

    def make(*hosts: HostSpec, laptop: str = "mine", on_host: object = None) -> HostsProvider:
        machine = MachineSpec("mybox", "hosts", hosts=hosts)
        return create(ProviderSettings(tmp_path / laptop, clock, lambda _: (), machine, on_host or lines.ask))

    return make


class Street:
    """Machines that are folders: the real guest's own functions, and no line that takes time. Any of them can fall silent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, dict[str, object]] = {}
        self.silent: set[str] = set()
        self.impostors: set[str] = set()
        self.heard: list[tuple[str, ...]] = []
        self.breaks_after: str | None = None

    def home(self, host: HostSpec) -> Path:
        return self.folder / host.address

    def on_host(self, endpoint: SshEndpoint, arguments: Sequence[str], stdin: bytes) -> Completed:
        if endpoint.host in self.silent:
            raise HostUnreachableError("nobody is there", "knock")
        if endpoint.host in self.impostors:
            raise HostKeyError("another host key", "do not go on")
        self.heard.append((endpoint.host, *arguments))
        answer = self._answer(endpoint.host, arguments, stdin)
        if arguments[-1] == self.breaks_after:
            self.silent.add(endpoint.host)
            raise HostUnreachableError("the line broke")
        return answer

    def _answer(self, host: str, arguments: Sequence[str], stdin: bytes) -> Completed:
        if arguments[0] == "facts":
            return Completed(0, json.dumps(self.facts.get(host, {})).encode(), b"")
        home = self.folder / host
        home.mkdir(parents=True, exist_ok=True)
        try:
            said = claim.act(str(home), arguments[1], json.loads(stdin or b"{}"), "/nowhere/guest.pyz")
        except GuestError as error:
            return Completed(1, json.dumps({"error": str(error)}).encode(), b"")
        return Completed(0, json.dumps(said).encode(), b"")


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path / "street")


@pytest.fixture
def free(boxes: tuple[Box, Box]) -> Iterator[tuple[Box, Box]]:
    """Two machines that nobody has claimed, before and after."""
    yield boxes
    for box in boxes:
        for path in box.claims:
            path.unlink()
