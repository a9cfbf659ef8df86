"""Tools for real life are given what they need."""

from pathlib import Path

import pytest

from cloudtrain import wiring
from cloudtrain.model.event import Note
from cloudtrain.model.spec import MachineSpec
from cloudtrain.providers.base import ProviderSettings


def test_an_adapter_notes_in_the_ledger_and_speaks_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ProviderSettings] = []
    heard: list[Note] = []
    monkeypatch.setattr(wiring, "open_provider", lambda _name, settings: made.append(settings))
    with wiring.open_tools(tell=heard.append) as tools:
        tools.open_provider(MachineSpec("lab", "memory"))
        tools.open_provider(MachineSpec("other", "memory"))
        assert [settings.operations is tools.ledger.operations for settings in made] == [True, True]
        assert made[0].home == home
        for settings in made:
            settings.say("The same sentence.")
    assert heard == [Note("The same sentence.")]
