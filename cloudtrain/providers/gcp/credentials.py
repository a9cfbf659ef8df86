"""Who asks Google: the login a person has on this computer, and the project it is used for. Found without the network."""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...model.errors import CredentialsError, NotSetUpError
from . import gcloud

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
LOGIN = "gcloud auth application-default login"
DEFAULT_FILE = "application_default_credentials.json"


@dataclass(frozen=True, slots=True)
class Login:
    """Where a login lies.

    Attributes:
        source: in words for a person: a variable's name, or a file's.
        file: credentials as Google's libraries write them; None where there is a token alone.
        token: an access token, which nobody can renew; "" where there is a file.
        impersonate: the service account in whose name everything is asked, or "".
    """

    source: str
    file: Path | None = None
    token: str = field(default="", repr=False)
    impersonate: str = ""

    def content(self) -> Mapping[str, Any]:
        """Return what the file holds; empty for a token.

        Raises:
            CredentialsError: it cannot be read or holds no login.
        """
        if self.file is None:
            return {}
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CredentialsError(f"The login in {self.file} cannot be read: {error}", LOGIN) from error
        if not isinstance(content, dict):
            raise CredentialsError(f"{self.file} holds no login", LOGIN)
        return content


def find_login() -> Login | None:
    """Return the login Google's own tools would use, or None when there is none on this computer.

    Raises:
        CredentialsError: gcloud's configuration cannot be read.
    """
    account = gcloud.setting("auth", "impersonate_service_account")
    token = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "").strip()
    if token:
        return Login("CLOUDSDK_AUTH_ACCESS_TOKEN", token=token, impersonate=account)
    token_file = gcloud.setting("auth", "access_token_file")
    if token_file:
        return Login(f"the token in {token_file}", token=_token_in(Path(token_file)), impersonate=account)
    named = gcloud.setting("auth", "credential_file_override") or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named:
        return Login(named, Path(named), impersonate=account)
    for file in (gcloud.folder() / DEFAULT_FILE, *_gcloud_account()):
        if file.is_file():
            return Login(str(file), file, impersonate=account)
    return None


def credentials_of(login: Login, iam_base: str) -> Any:
    """Return google-auth's credentials of a login; nothing is asked yet.

    `iam_base` is where the IAM Credentials API is asked for tokens of a service account.

    Raises:
        NotSetUpError: google-auth is not installed.
        CredentialsError: the login cannot be used.
    """
    try:
        from google.auth.exceptions import GoogleAuthError
    except ImportError as error:
        raise NotSetUpError("Google's library is not installed here", "pip install 'cloudtrain[gcp]'") from error
    try:
        own = _of_token(login.token) if login.file is None else _of_file(login.content(), iam_base)
        return _impersonating(own, login.impersonate, iam_base) if login.impersonate else own
    except (GoogleAuthError, ValueError, KeyError) as error:
        raise CredentialsError(f"The login in {login.source} cannot be used: {error}", LOGIN) from error


def find_project(login: Login | None) -> str:
    """Return the project: the environment's, else gcloud's, else the one a service account's file names; "" for none.

    Raises:
        CredentialsError: gcloud's configuration or the login's file cannot be read.
    """
    named = os.environ.get("GOOGLE_CLOUD_PROJECT") or gcloud.setting("core", "project")
    if named or login is None:
        return named
    return str(login.content().get("project_id") or "")


def project_source(login: Login | None) -> tuple[str, str]:
    """Return what names the project that `find_project` finds, and what a person types to name another one."""
    if os.environ.get("GOOGLE_CLOUD_PROJECT"):
        return "GOOGLE_CLOUD_PROJECT in the environment", "export GOOGLE_CLOUD_PROJECT=PROJECT"
    if os.environ.get("CLOUDSDK_CORE_PROJECT"):
        return "CLOUDSDK_CORE_PROJECT in the environment", "export CLOUDSDK_CORE_PROJECT=PROJECT"
    if gcloud.setting("core", "project"):
        return "gcloud's configuration", "gcloud config set project PROJECT"
    return f"the login in {login.source}" if login is not None else "nothing", "export GOOGLE_CLOUD_PROJECT=PROJECT"


def _gcloud_account() -> list[Path]:
    """Return the login of gcloud's active account, which gcloud keeps as a file for older tools."""
    account = gcloud.setting("core", "account")
    return [gcloud.folder() / "legacy_credentials" / account / "adc.json"] if account else []


def _token_in(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"The access token in {file} cannot be read: {error}", LOGIN) from error
    if not token:
        raise CredentialsError(f"{file} holds no access token", LOGIN)
    return token


def _of_token(token: str) -> Any:
    from google.oauth2.credentials import Credentials

    return Credentials(token=token)


def _of_file(content: Mapping[str, Any], iam_base: str) -> Any:
    kind = content.get("type", "")
    if kind == "authorized_user":
        from google.oauth2.credentials import Credentials

        return Credentials.from_authorized_user_info(content)
    if kind == "service_account":
        from google.oauth2.service_account import Credentials as ServiceAccount

        return ServiceAccount.from_service_account_info(content, scopes=SCOPES)
    if kind == "impersonated_service_account":
        url = str(content["service_account_impersonation_url"])
        chain = (*content.get("delegates", ()), url.rpartition("/")[2].partition(":")[0])
        return _impersonating(_of_file(content["source_credentials"], iam_base), ",".join(chain), iam_base)
    from google.auth import load_credentials_from_dict

    with warnings.catch_warnings():
        # It warns of files from strangers; this one lies where the person's own logins lie, or is named by them.
        warnings.simplefilter("ignore", DeprecationWarning)
        return load_credentials_from_dict(dict(content), scopes=list(SCOPES))[0]


def _impersonating(own: Any, chain: str, iam_base: str) -> Any:
    """Return credentials of the last service account in a comma-separated chain, each of which may speak for the next."""
    from google.auth.impersonated_credentials import Credentials

    *delegates, target = [each.strip() for each in chain.split(",")]
    return Credentials(
        own,
        target,
        list(SCOPES),
        delegates=delegates or None,
        iam_endpoint_override=f"{iam_base}projects/-/serviceAccounts/{target}:generateAccessToken",
    )
