import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from cloudtrain.model.errors import ConfigError, CredentialsError, ProviderUnavailableError
from cloudtrain.providers import registry
from cloudtrain.providers.base import OfferSource, ProviderSettings
from cloudtrain.providers.registry import open_provider, provider_names

PLUG_INS = """
from cloudtrain.model.errors import CredentialsError

class Acme:
    name = "acme"
    def check(self): return ()
    def offers(self, need): return ()

def create(settings): return Acme()
def fail(settings): raise RuntimeError("no disk in drive A")
def refuse(settings): raise CredentialsError("who are you?", "acme login")
def make_nothing(settings): return None
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install entry points of a module `acme_plugin` beside our own."""
    (tmp_path / "acme_plugin.py").write_text(PLUG_INS)
    monkeypatch.syspath_prepend(tmp_path)
    from importlib import metadata

    ours = tuple(metadata.entry_points(group=registry.GROUP))

    def install(name: str, value: str) -> None:
        monkeypatch.setattr(metadata, "entry_points", lambda group: (*ours, EntryPoint(name, value, group)))
        registry._entry_points.cache_clear()

    yield install
    registry._entry_points.cache_clear()
    sys.modules.pop("acme_plugin", None)


def test_the_names_are_known_without_importing_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda self: pytest.fail(f"{self.name} was imported"))
    assert set(provider_names()) >= {"aws", "azure", "gcp", "hosts", "local", "memory"}
    assert list(provider_names()) == sorted(provider_names())


@pytest.mark.parametrize("name", ["aws", "azure", "gcp", "hosts", "local", "memory"])
def test_every_one_of_ours_opens_under_its_own_name(name: str, settings: ProviderSettings) -> None:
    provider = open_provider(name, settings)
    assert isinstance(provider, OfferSource)
    assert provider.name == name


def test_opening_one_imports_no_other(settings: ProviderSettings) -> None:
    import subprocess

    program = (
        "import sys; from pathlib import Path; from cloudtrain.providers.base import ProviderSettings;"
        "from cloudtrain.providers.registry import open_provider; from cloudtrain.testing.clock import FakeClock;"
        "open_provider('memory', ProviderSettings(Path('x'), FakeClock(), lambda name: ()));"
        "print([n for n in ('aws', 'azure', 'gcp', 'local') if f'cloudtrain.providers.{n}.provider' in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"[]\n"


def test_a_mistyped_name_is_answered_with_the_nearest(settings: ProviderSettings) -> None:
    with pytest.raises(ConfigError, match="'azur'") as raised:
        open_provider("azur", settings)
    assert raised.value.field == "provider"
    assert raised.value.hint == "Did you mean azure?"


def test_a_name_like_no_other_is_answered_with_all(settings: ProviderSettings) -> None:
    with pytest.raises(ConfigError) as raised:
        open_provider("xyzzy", settings)
    assert "aws, azure, gcp, hosts, local, memory" in raised.value.hint


def test_a_plug_in_is_found_and_made(plug_in, settings: ProviderSettings) -> None:
    plug_in("acme", "acme_plugin:create")
    assert "acme" in provider_names()
    assert open_provider("acme", settings).name == "acme"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module_at_all:create", "ModuleNotFoundError"),
        ("acme_plugin:no_such_function", "AttributeError"),
        ("acme_plugin:fail", "no disk in drive A"),
        ("acme_plugin:make_nothing", "no provider"),
    ],
)
def test_a_broken_plug_in_is_named(plug_in, settings: ProviderSettings, value: str, why: str) -> None:
    plug_in("acme", value)
    with pytest.raises(ProviderUnavailableError, match=why) as raised:
        open_provider("acme", settings)
    assert value.partition(":")[0] in raised.value.hint
    assert open_provider("local", settings).name == "local"


def test_what_a_plug_in_says_in_our_words_is_passed_on(plug_in, settings: ProviderSettings) -> None:
    plug_in("acme", "acme_plugin:refuse")
    with pytest.raises(CredentialsError, match="who are you"):
        open_provider("acme", settings)


def test_a_plug_in_does_not_take_one_of_our_names(plug_in, settings: ProviderSettings) -> None:
    plug_in("memory", "acme_plugin:create")
    assert open_provider("memory", settings).name == "memory"
