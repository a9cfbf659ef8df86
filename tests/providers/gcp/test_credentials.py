"""Which login is used, and for which project: in the order in which people expect it, and without the network."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cloudtrain.model.errors import CredentialsError
from cloudtrain.providers.gcp import credentials, gcloud
from cloudtrain.providers.gcp.credentials import Login, credentials_of, find_login, find_project

IAM = "http://127.0.0.1:9/v1/"
PERSON = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r", "quota_project_id": "q"}


@pytest.fixture
def folder(nobody_is_logged_in: Path) -> Path:
    (nobody_is_logged_in / "configurations").mkdir(parents=True)
    return nobody_is_logged_in


@pytest.fixture
def configured(folder: Path) -> Callable[..., None]:
    def write(text: str, name: str = "default") -> None:
        (folder / "configurations" / f"config_{name}").write_text(text)

    return write


@pytest.fixture(scope="session")
def service_account() -> dict:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "of-the-file",
        "private_key": pem,
        "client_email": "robot@of-the-file.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:9/token",
    }


def written(file: Path, content: dict) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def test_nobody_is_logged_in(folder: Path) -> None:
    assert find_login() is None
    assert find_project(None) == ""


def test_logins_are_found_in_the_order_people_expect(
    folder: Path, configured: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured("[core]\naccount = me@example.com\n")
    written(folder / "legacy_credentials" / "me@example.com" / "adc.json", PERSON)
    assert str(find_login().file).endswith("legacy_credentials/me@example.com/adc.json")
    written(folder / "application_default_credentials.json", PERSON)
    assert find_login().file == folder / "application_default_credentials.json"
    named = written(tmp_path / "named.json", PERSON)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(named))
    assert find_login().file == named
    instead = written(tmp_path / "instead.json", PERSON)
    monkeypatch.setenv("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", str(instead))
    assert find_login().file == instead
    token = tmp_path / "token"
    token.write_text("in-a-file\n")
    configured(f"[auth]\naccess_token_file = {token}\n")
    assert find_login().token == "in-a-file"
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "in-the-environment")
    assert find_login().token == "in-the-environment"


def test_a_token_is_no_text_that_is_shown(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "very-secret")
    assert "very-secret" not in repr(find_login())


def test_the_active_configuration_is_the_one_gcloud_uses(
    folder: Path, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured("[core]\nproject = of-default\n")
    configured("[core]\nproject = of-work\n", "work")
    assert gcloud.setting("core", "project") == "of-default"
    (folder / "active_config").write_text("work")
    assert gcloud.setting("core", "project") == "of-work"
    monkeypatch.setenv("CLOUDSDK_ACTIVE_CONFIG_NAME", "default")
    assert gcloud.setting("core", "project") == "of-default"
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "of-the-environment")
    assert gcloud.setting("core", "project") == "of-the-environment"


def test_a_configuration_that_cannot_be_read_is_said(configured: Callable[..., None]) -> None:
    configured("project = without a section\n")
    with pytest.raises(CredentialsError, match="config_default"):
        find_login()


def test_the_project_is_the_environments_then_gclouds_then_the_files(
    folder: Path, configured: Callable[..., None], tmp_path: Path, service_account: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = Login("x", written(tmp_path / "robot.json", service_account))
    assert find_project(login) == "of-the-file"
    configured("[core]\nproject = of-gcloud\n")
    assert find_project(login) == "of-gcloud"
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "of-gclouds-variable")
    assert find_project(login) == "of-gclouds-variable"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-googles-variable")
    assert find_project(login) == "of-googles-variable"


def test_a_persons_own_file_names_no_project_to_spend_in(folder: Path, tmp_path: Path) -> None:
    assert find_project(Login("x", written(tmp_path / "me.json", PERSON))) == ""


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_file_that_holds_no_login_is_said(folder: Path, text: str) -> None:
    file = folder / "application_default_credentials.json"
    file.write_text(text)
    with pytest.raises(CredentialsError, match=r"application_default_credentials\.json"):
        credentials_of(find_login(), IAM)


@pytest.mark.parametrize("content", [{}, {"type": "authorized_user"}, {"type": "service_account"}, {"type": "new"}])
def test_a_login_that_is_not_whole_is_said(tmp_path: Path, folder: Path, content: dict) -> None:
    with pytest.raises(CredentialsError, match="cannot be used"):
        credentials_of(Login("my login", written(tmp_path / "half.json", content)), IAM)


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_token_file_without_a_token_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", str(file))
    with pytest.raises(CredentialsError):
        find_login()


def test_a_person_and_a_robot_become_googles_credentials(tmp_path: Path, folder: Path, service_account: dict) -> None:
    person = credentials_of(Login("me", written(tmp_path / "me.json", PERSON)), IAM)
    assert (person.refresh_token, person.quota_project_id) == ("r", "q")
    robot = credentials_of(Login("robot", written(tmp_path / "robot.json", service_account)), IAM)
    assert robot.service_account_email == "robot@of-the-file.iam.gserviceaccount.com"
    assert robot.scopes == credentials.SCOPES or list(robot.scopes) == list(credentials.SCOPES)


def test_a_service_account_is_impersonated_at_our_endpoint_and_no_other(
    folder: Path, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "mine")
    configured("[auth]\nimpersonate_service_account = first@x.iam,last@x.iam\n")
    made = credentials_of(find_login(), IAM)
    assert made.service_account_email == "last@x.iam"
    assert made._delegates == ["first@x.iam"]
    assert made._iam_endpoint_override == f"{IAM}projects/-/serviceAccounts/last@x.iam:generateAccessToken"


def test_a_file_that_impersonates_does_so_at_our_endpoint(folder: Path, tmp_path: Path) -> None:
    content = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": "https://public.example/v1/projects/-/serviceAccounts/robot@x.iam:generateAccessToken",
        "delegates": ["between@x.iam"],
        "source_credentials": PERSON,
    }
    made = credentials_of(Login("x", written(tmp_path / "x.json", content)), IAM)
    assert (made.service_account_email, made._delegates) == ("robot@x.iam", ["between@x.iam"])
    assert made._iam_endpoint_override.startswith(IAM)
