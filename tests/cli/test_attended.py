"""--attended: asked for by a flag, and by nothing else, it reaches whoever launches."""

from pathlib import Path

import pytest

from cloudtrain.model.instance import Instance, LaunchOrder
from cloudtrain.providers.memory.provider import MemoryProvider

from .conftest import Cli, config


@pytest.fixture
def attended(desk: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return what the orders of the pretend cloud say of it, one after the other."""
    config("pretend", "provider: memory", "instance_types: [mem.cpu]")
    (desk / "cloudtrain.yaml").write_text("command: 'true'\ninputs: [cloudtrain.yaml]\n")
    seen: list[bool] = []
    launch = MemoryProvider.launch

    def listening(self: MemoryProvider, order: LaunchOrder) -> Instance:
        seen.append(order.machine.attended)
        return launch(self, order)

    monkeypatch.setattr(MemoryProvider, "launch", listening)
    return seen


@pytest.mark.parametrize(("flags", "says"), [((), False), (("--attended",), True)])
def test_start_says_so_in_its_order(cli: Cli, attended: list[bool], flags: tuple[str, ...], says: bool) -> None:
    assert cli("start", "pretend", *flags).code == 0
    assert attended == [says]


@pytest.mark.parametrize(("flags", "says"), [((), False), (("--attended",), True)])
def test_train_says_so_in_its_order(cli: Cli, attended: list[bool], flags: tuple[str, ...], says: bool) -> None:
    cli("train", "pretend", "--yes", *flags)
    assert attended == [says]


def test_no_file_can_ask_for_it(cli: Cli, attended: list[bool]) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.cpu]", "attended: true")
    assert cli("start", "pretend").code == 2
    assert attended == []
