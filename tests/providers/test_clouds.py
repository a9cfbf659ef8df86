import sys
import types
from pathlib import Path

import pytest

from cloudtrain.model.errors import ProviderUnavailableError
from cloudtrain.model.finding import Finding
from cloudtrain.model.spec import Resources
from cloudtrain.providers import extras
from cloudtrain.providers.aws.credentials import credentials_source
from cloudtrain.providers.base import (
    Foreseeing,
    Guarded,
    OfferSource,
    Pausable,
    PriceLister,
    Provider,
    ProviderSettings,
    Resizable,
)
from cloudtrain.providers.object_storage import ObjectStorage
from cloudtrain.providers.registry import open_provider
from cloudtrain.testing.offer_contract import OfferSourceContract

CLOUDS = ["aws", "azure", "gcp"]
LOGIN = {"aws": "aws configure", "azure": "az login", "gcp": "gcloud auth application-default login"}


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUDSDK_CONFIG",
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_CONFIG_DIR",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=CLOUDS)
def provider(request: pytest.FixtureRequest, settings: ProviderSettings) -> OfferSource:
    return open_provider(request.param, settings)


class TestContract(OfferSourceContract):
    """The law for sources of prices, for all three."""


def findings(provider: OfferSource) -> dict[str, Finding]:
    return {finding.subject: finding for finding in provider.check()}


@pytest.mark.parametrize("name", CLOUDS)
def test_what_rents_pauses_resizes_and_foresees_too(settings: ProviderSettings, name: str) -> None:
    cloud = open_provider(name, settings)
    kinds = (Provider, Pausable, Resizable, Foreseeing, Guarded, PriceLister, ObjectStorage)
    assert [kind for kind in kinds if not isinstance(cloud, kind)] == []
    assert "renting" not in findings(cloud)


@pytest.mark.parametrize(
    ("name", "url"), [("aws", "s3://digits/runs/"), ("gcp", "gs://digits/runs/"), ("azure", "az://digits/data/runs/")]
)
def test_what_is_made_for_checkpoints_is_said_with_its_end_before_anybody_is_asked(
    settings: ProviderSettings, name: str, url: str
) -> None:
    cloud = open_provider(name, settings)
    assert isinstance(cloud, ObjectStorage)
    said = cloud.right_to(url)
    assert said.startswith(f"For {url} a launch ")
    assert said.endswith(("It goes with the machine.", "Both go with the machine."))


def test_a_missing_sdk_is_named_with_the_line_that_installs_it(provider: OfferSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert findings(provider)["sdk"].hint == f"pip install 'cloudtrain[{provider.name}]'"
    assert provider.offers(Resources())


def test_an_installed_sdk_is_well(provider: OfferSource, monkeypatch: pytest.MonkeyPatch, botocore) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    assert findings(provider)["sdk"].ok


def test_without_credentials_the_login_is_named(provider: OfferSource, monkeypatch: pytest.MonkeyPatch, botocore) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    assert findings(provider)["credentials"].hint == LOGIN[provider.name]


@pytest.mark.parametrize("module", ["no_such_module", "no_such_package.deep.below", "cloudtrain.no_such_module"])
def test_what_is_not_there_is_not_installed(module: str) -> None:
    assert not extras.is_installed(module)
    assert extras.is_installed("cloudtrain.model")


class Resolver:
    """Stands where botocore's resolver stands."""

    def __init__(self, credentials: object) -> None:
        self.removed: list[str] = []
        self._credentials = credentials

    def remove(self, name: str) -> None:
        self.removed.append(name)

    def load_credentials(self) -> object:
        if isinstance(self._credentials, Exception):
            raise self._credentials
        return self._credentials


@pytest.fixture
def botocore(monkeypatch: pytest.MonkeyPatch):
    """Install a botocore of our own that finds what it is told to."""

    class BotoCoreError(Exception):
        pass

    def install(credentials: object) -> Resolver:
        resolver = Resolver(BotoCoreError("no such profile") if credentials == "broken" else credentials)
        session = types.SimpleNamespace(get_component=lambda name: {"credential_provider": resolver}[name])
        for name, content in {
            "botocore": {},
            "botocore.session": {"Session": lambda: session},
            "botocore.exceptions": {"BotoCoreError": BotoCoreError},
        }.items():
            module = types.ModuleType(name)
            module.__dict__.update(content)
            monkeypatch.setitem(sys.modules, name, module)
        sys.modules["botocore"].session = sys.modules["botocore.session"]
        return resolver

    install(None)
    return install


def test_aws_credentials_are_looked_for_without_the_network(monkeypatch: pytest.MonkeyPatch, botocore) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    monkeypatch.setenv("AWS_PROFILE", "somebody")  # else nobody would look
    resolver = botocore(types.SimpleNamespace(method="shared-credentials-file"))
    assert credentials_source() == "shared-credentials-file"
    assert set(resolver.removed) == {"iam-role", "container-role"}


def test_a_broken_aws_profile_is_no_credentials(settings: ProviderSettings, monkeypatch: pytest.MonkeyPatch, botocore) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    botocore("broken")
    assert not findings(open_provider("aws", settings))["credentials"].ok


def test_gcp_credentials_are_the_file_that_is_named_or_the_login_s_own(
    settings: ProviderSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcp = open_provider("gcp", settings)
    login = tmp_path / ".config" / "gcloud" / "application_default_credentials.json"
    login.parent.mkdir(parents=True)
    login.write_text("{}")
    assert findings(gcp)["credentials"].message.startswith(f"found: {login}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    assert not findings(gcp)["credentials"].ok


def test_azure_credentials_are_the_login_s_profile_or_a_whole_identity(
    settings: ProviderSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure = open_provider("azure", settings)
    monkeypatch.setenv("AZURE_CLIENT_ID", "id")
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    assert not findings(azure)["credentials"].ok
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "secret")
    assert findings(azure)["credentials"].ok
    monkeypatch.delenv("AZURE_CLIENT_ID")
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "azureProfile.json").write_text("{}")
    assert findings(azure)["credentials"].ok
    assert "secret" not in repr(azure.check())


def test_a_table_that_cannot_be_read_is_an_error_in_words(tmp_path: Path, clock) -> None:
    def broken(name: str):
        raise FileNotFoundError(2, "No such file", "table.csv")

    with pytest.raises(ProviderUnavailableError, match=r"table\.csv"):
        open_provider("aws", ProviderSettings(tmp_path, clock, broken)).offers(Resources())
