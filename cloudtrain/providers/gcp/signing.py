"""Links to Cloud Storage that are signed here or by Google: V4 signatures, as its XML interface reads them."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from ...model.errors import CredentialsError, PermissionDeniedError
from .rest import Rest

LONGEST_LINK = timedelta(days=7)
"""A V4 signature is good for no longer."""

LONGEST_ASKED = timedelta(hours=12)
"""A key that Google keeps for a service account signs for at least so long, and may be replaced after that."""

THREADS = 16

_ALGORITHM = "GOOG4-RSA-SHA256"
_SELF = "gcloud iam service-accounts add-iam-policy-binding {who} --member=serviceAccount:{who} --role={role}"
_ROLE = "roles/iam.serviceAccountTokenCreator"

Sign = Callable[[bytes], bytes]


def sign_links(server: str, paths: Sequence[str], now: datetime, until: datetime, rest: Rest) -> list[str]:
    """Return a link to GET each path ("/bucket/object") of a server, good until then at the latest.

    Raises:
        CredentialsError: this login can sign nothing.
        PermissionDeniedError: the service account may not sign in its own name.
        ProviderError: there is no login, or Google does not answer.
    """
    account, sign, longest = _signer(rest)
    seconds = max(1, int(min(until - now, longest).total_seconds()))

    def link(path: str) -> str:
        unsigned = _Unsigned(server, path, account, now, seconds)
        return f"{unsigned.url}&X-Goog-Signature={sign(unsigned.text).hex()}"

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(link, paths))


class _Unsigned:
    """A link before it is signed, and the text whose signature makes it one."""

    def __init__(self, server: str, path: str, account: str, now: datetime, seconds: int) -> None:
        at, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
        scope = f"{day}/auto/storage/goog4_request"
        query = {
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{account}/{scope}",
            "X-Goog-Date": at,
            "X-Goog-Expires": str(seconds),
            "X-Goog-SignedHeaders": "host",
        }
        written = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
        target = quote(path, safe="/~")
        request = f"GET\n{target}\n{written}\nhost:{urlsplit(server).netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        self.url = f"{server.rstrip('/')}{target}?{written}"
        self.text = f"{_ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}".encode()


def _signer(rest: Rest) -> tuple[str, Sign, timedelta]:
    """Return in whose name is signed, what signs, and for how long that is good at most."""
    from google.auth.impersonated_credentials import Credentials as Impersonated
    from google.oauth2.service_account import Credentials as OfFile

    credentials = rest.credentials
    if isinstance(credentials, OfFile):
        return credentials.service_account_email, credentials.sign_bytes, LONGEST_LINK
    if isinstance(credentials, Impersonated):
        account = str(credentials.service_account_email)
        return account, _by_google(account, rest), LONGEST_ASKED
    raise CredentialsError(
        f"The login in {rest.login.source} cannot sign links, by which the machine would read the data without credentials",
        "Use a service account that may read it: gcloud auth application-default login --impersonate-service-account=ACCOUNT "
        "(or: export GOOGLE_APPLICATION_CREDENTIALS=its-key.json)",
    )


def _by_google(account: str, rest: Rest) -> Sign:
    """Return what lets Google sign with the key it keeps for a service account, in whose name we ask."""

    def sign(text: bytes) -> bytes:
        body: dict[str, Any] = {"payload": base64.b64encode(text).decode()}
        try:
            path = f"projects/-/serviceAccounts/{account}:signBlob"
            reply = rest.call("iamcredentials.projects.serviceAccounts.signBlob", "POST", path, body=body)
        except PermissionDeniedError as error:
            raise PermissionDeniedError(
                f"{account} may not sign links in its own name: {error.message}", _SELF.format(who=account, role=_ROLE)
            ) from error
        return base64.b64decode(reply["signedBlob"])

    return sign
