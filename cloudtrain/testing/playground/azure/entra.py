"""Entra's token endpoint, and who a call comes from: no call without a token that was given here."""

import base64
import json
import secrets
from dataclasses import dataclass

from .account import CALLER, CLIENT, Account, Handler, new_guid
from .errors import ArmError
from .things import Body
from .wire import ArmCall

SECRET = "playground"
LIFETIME_S = 86399
AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
STORAGE = "https://storage.azure.com"


@dataclass(frozen=True, slots=True)
class Token:
    """Who has it, and what it is for."""

    principal: str
    audience: str


class OAuthError(Exception):
    """A refusal of the token endpoint, which has a form of its own."""

    def __init__(self, code: str, number: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status
        self.body = {"error": code, "error_description": f"AADSTS{number}: {text}", "error_codes": [number]}


class Entra:
    """Gives tokens and knows them again. They do not grow old: a caller's clock is not the cloud's."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tokens: dict[str, Token] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        return {
            ("Entra", "token"): self._token,
            ("Entra", "openid-configuration"): self._configuration,
            ("Entra", "instance"): self._instance,
        }

    def give(self, principal: str, resource: str, application: str = CLIENT) -> str:
        """Return a token for somebody to use at a resource ("https://management.azure.com/")."""
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{self._account.tenant}/",
            "appid": application,
            "oid": principal,
            "tid": self._account.tenant,
        }
        token = ".".join([_part({"typ": "JWT", "alg": "none"}), _part(claims), secrets.token_urlsafe(24)])
        self._tokens[token] = Token(principal, resource.rstrip("/"))
        return token

    def check(self, call: ArmCall) -> str:
        """Return the object id of who calls Resource Manager.

        Raises:
            ArmError: there is no token, or it is none for this.
        """
        return self._known(call, (*AUDIENCES, self._account.url, call.host))

    def check_storage(self, call: ArmCall) -> str:
        """Return the object id of who calls the blob service with a token; see `check`."""
        return self._known(call, (STORAGE,))

    def _known(self, call: ArmCall, audiences: tuple[str, ...]) -> str:
        kind, _, text = str(call.environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if not text or kind.lower() != "bearer":
            why = "Authentication failed. The 'Authorization' header is missing."
            raise _unauthorized("AuthenticationFailed", why)
        token = self._tokens.get(text.strip())
        if token is None:
            raise _unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
        if token.audience not in audiences:
            why = (
                f"The access token has been obtained for wrong audience or resource '{token.audience}'. It should exactly "
                "match "
            )
            why += f"with one of the allowed audiences '{','.join(f'{one}/' for one in audiences[:2])}'."
            raise _unauthorized("InvalidAuthenticationTokenAudience", why)
        return token.principal

    def _token(self, call: ArmCall) -> Body:
        form = call.form
        tenant = call.path.strip("/").partition("/")[0]
        if tenant != self._account.tenant:
            raise OAuthError("invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            raise OAuthError(
                "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{form.get('grant_type')}'."
            )
        if form.get("client_id") != CLIENT:
            why = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
            raise OAuthError("unauthorized_client", 700016, why)
        if form.get("client_secret") != SECRET:
            why = f"Invalid client secret provided for app '{CLIENT}'."
            raise OAuthError("invalid_client", 7000215, why, 401)
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            raise OAuthError("invalid_scope", 1002012, f"The provided value for scope {scope} is not valid.")
        token = self.give(CALLER, scope.removesuffix("/.default"))
        return {"token_type": "Bearer", "expires_in": LIFETIME_S, "ext_expires_in": LIFETIME_S, "access_token": token}

    def _configuration(self, call: ArmCall) -> Body:
        root = f"{call.host}/{self._account.tenant}"
        return {
            "issuer": f"{root}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": None,
        }

    def _instance(self, call: ArmCall) -> Body:
        return {
            "tenant_discovery_endpoint": f"{call.host}/{self._account.tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [],
        }


def _unauthorized(code: str, text: str) -> ArmError:
    challenge = f'Bearer authorization_uri="https://login.windows.net/", error="invalid_token", error_description="{text}"'
    return ArmError(code, text, status=401, headers=[("WWW-Authenticate", challenge)])


def _part(value: Body) -> str:
    return base64.urlsafe_b64encode(json.dumps({**value, "jti": new_guid()}).encode()).rstrip(b"=").decode()
