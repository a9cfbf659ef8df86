"""What a person is told of who keeps a machine's deadline, where one more line could and is not prepared."""

from types import SimpleNamespace

import pytest

from cloudtrain import leasing
from cloudtrain.cli.verbs import setup as verb
from cloudtrain.model.event import Note
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.base import Preparable


class Unprepared:
    """An account that one more line can be made in; its words are those of a real provider."""

    def __init__(self, kind: type[AwsProvider | AzureProvider], is_ready: bool = False) -> None:
        self.name = kind.name
        self._words = kind.__new__(kind)  # its sentences rest on no account
        self._is_ready = is_ready

    def is_prepared(self) -> bool:
        return self._is_ready

    def preparation(self) -> str:
        return "A role."

    def kept_without(self) -> str:
        return self._words.kept_without()

    def kept_with(self) -> str:
        return self._words.kept_with()

    def prepare_account(self) -> str:
        return "role/1"


def said(provider: Unprepared) -> list[str]:
    told: list[Note] = []
    leasing.say_who_keeps_it(provider, SimpleNamespace(tell=told.append))
    return [note.text for note in told]


def test_on_aws_the_machine_keeps_it_alone() -> None:
    assert said(Unprepared(AwsProvider)) == [
        "The machine keeps its deadline itself; AWS does not keep it too yet. Once, for nothing: cloudtrain setup aws"
    ]


def test_on_azure_the_cloud_keeps_it_alone_and_what_goes_on_costing_is_said() -> None:
    [sentence] = said(Unprepared(AzureProvider))
    assert sentence.startswith(
        "Azure keeps the machine's deadline and deallocates it then: its disk and address go on costing."
    )
    assert "The machine does not keep it itself yet." in sentence
    assert sentence.endswith("cloudtrain setup azure")


def test_a_prepared_account_is_not_spoken_of() -> None:
    assert said(Unprepared(AzureProvider, is_ready=True)) == []


@pytest.mark.parametrize(
    ("kind", "promise"),
    [(AwsProvider, "have a deadline in the cloud, too."), (AzureProvider, "keep their deadline themselves")],
)
def test_setup_says_what_was_gained(
    kind: type[AwsProvider | AzureProvider], promise: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Unprepared(kind)
    assert isinstance(found, Preparable)
    monkeypatch.setattr(verb, "open_provider", lambda *_: found)
    verb.setup(found.name, yes=True)
    said_last = capsys.readouterr().out.splitlines()[-1]
    assert said_last.startswith("Done: role/1. Machines rented from here on ")
    assert promise in said_last
