"""Which login is in use, and what is said when Azure does not take it."""

import logging
from pathlib import Path

import pytest

from cloudtrain.model.errors import CredentialsError
from cloudtrain.model.spec import MachineSpec, Resources
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.login import login_hint, refusal_of
from cloudtrain.providers.azure.provider import AzureProvider

from .conftest import Cloud

APPLICATION = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "app-1"}


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        (
            {**APPLICATION, "AZURE_CLIENT_SECRET": "s3cret"},
            "Look at AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET in the environment; "
            "a new secret: az ad app credential reset --id app-1",
        ),
        (
            {**APPLICATION, "AZURE_CLIENT_CERTIFICATE_PATH": "/c.pem"},
            "Look at AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_CERTIFICATE_PATH in the environment",
        ),
        ({"IDENTITY_ENDPOINT": "http://x"}, "Look at IDENTITY_ENDPOINT in the environment, or unset it and log in: az login"),
        ({}, "Log in: az login"),
    ],
)
@pytest.mark.usefixtures("nobody_is_logged_in")
def test_the_hint_fits_the_login_in_use(environ: dict[str, str], hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert login_hint() == hint


CHAIN = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: EnvironmentCredential authentication unavailable.
\tSharedTokenCacheCredential: no accounts
\tAzureCliCredential: Please run 'az login' to set up an account
To mitigate this issue, please refer to the troubleshooting guidelines."""


def test_what_the_login_in_use_was_told_is_said(nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_is_logged_in.mkdir()
    (nobody_is_logged_in / "azureProfile.json").write_text("{}")
    assert refusal_of(Exception(CHAIN)) == "AzureCliCredential: Please run 'az login' to set up an account"
    expired = CHAIN.replace("no accounts", "AADSTS700082: The refresh token has expired")
    assert refusal_of(Exception(expired)) == "SharedTokenCacheCredential: AADSTS700082: The refresh token has expired"
    assert refusal_of(Exception("one line\nmore")) == "one line"
    assert refusal_of(ValueError("")) == "ValueError"
    for name, value in {**APPLICATION, "AZURE_CLIENT_SECRET": "s3cret"}.items():
        monkeypatch.setenv(name, value)
    assert refusal_of(Exception(CHAIN)) == "EnvironmentCredential: EnvironmentCredential authentication unavailable."


def test_a_wrong_secret_is_said_once_and_by_us_alone(
    account: Account, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-s3cret")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own; a shell has none
    with pytest.raises(CredentialsError, match="AADSTS7000215: Invalid client secret") as raised:
        account.arm.call("r", "GET", account.arm.below("resourcegroups"), api="2022-09-01")
    assert "AZURE_CLIENT_SECRET in the environment" in raised.value.hint
    assert "wrong-s3cret" not in str(raised.value)
    assert capsys.readouterr() == ("", "")


def test_of_a_wrong_subscription_a_plan_says_that_it_is_the_table_s(
    provider: AzureProvider, cloud: Cloud, machine: MachineSpec, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "11111111-1111-4111-8111-111111111111")
    provider.offers(Resources())
    [sentence] = said
    assert "taken from the dated table" in sentence
    assert "SubscriptionNotFound" in sentence
    assert "AZURE_SUBSCRIPTION_ID" in sentence
