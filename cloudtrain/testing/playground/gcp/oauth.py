"""Tokens by HTTP: what a service account's key file, a person's refresh token or nobody gets at the token endpoint."""

import json
from typing import Any
from urllib.parse import parse_qs

from ..calls import Reply
from .access import Tokens
from .account import Account
from .identities import unquoted
from .wire import GoogleCall

TOKEN = "/token"
TOKEN_INFO = "/tokeninfo"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REFRESH_TOKEN = "playground"
PERSON = "person@example.com"
LIFETIME_S = 3599
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class OAuth:
    """Answers at `/token`, which a credentials file's `token_uri` may name, and what a token is."""

    def __init__(self, account: Account, tokens: Tokens) -> None:
        self._account, self._tokens = account, tokens

    def answer(self, call: GoogleCall) -> Reply:
        """Give a token for an assertion or a refresh token."""
        form = {key: values[0] for key, values in parse_qs(call.text).items()}
        grant = form.get("grant_type", "")
        if grant == JWT_GRANT:
            return self._for_assertion(call, form.get("assertion", ""))
        if grant == "refresh_token" and form.get("refresh_token") == REFRESH_TOKEN:
            return self._given(PERSON)
        if grant == "refresh_token":
            return _refused("invalid_grant", "Token has been expired or revoked.")
        return _refused("unsupported_grant_type", f"Invalid grant_type: {grant}")

    def answer_token_info(self, call: GoogleCall) -> Reply:
        """Say whose token it is at `/tokeninfo`, which is oauth2.googleapis.com's own and in no discovery document."""
        query = {key: values[0] for key, values in parse_qs(str(call.environ.get("QUERY_STRING", ""))).items()}
        owner = self._tokens.owner(query.get("access_token", ""))
        if not owner:
            return _refused("invalid_token", "Invalid Value")
        return _json(200, {"email": owner, "email_verified": "true", "expires_in": str(LIFETIME_S), "scope": SCOPE})

    def token_info(self, call: GoogleCall) -> dict[str, Any]:
        """Return whose token it is: oauth2.tokeninfo."""
        owner = self._tokens.owner(str(call.query.get("access_token", "")))
        return {"email": owner, "verified_email": bool(owner), "expires_in": LIFETIME_S, "audience": "playground"}

    def _for_assertion(self, call: GoogleCall, assertion: str) -> Reply:
        try:
            head, body, signature = assertion.split(".")
            claims = json.loads(unquoted(body))
            identity = self._account.identities[str(claims["iss"])]
            signed = identity.has_signed(f"{head}.{body}".encode(), unquoted(signature))
        except (ValueError, KeyError, TypeError):
            return _refused("invalid_grant", "Invalid grant: account not found")
        if not signed:
            return _refused("invalid_grant", "Invalid JWT Signature.")
        if not str(claims.get("aud", "")).endswith(TOKEN):
            return _refused("invalid_grant", "Invalid JWT: Failed audience check.")
        return self._given(identity.email)

    def _given(self, email: str) -> Reply:
        token = self._tokens.give(email)
        return _json(200, {"access_token": token, "expires_in": LIFETIME_S, "token_type": "Bearer"})


def _refused(error: str, text: str) -> Reply:
    return _json(400, {"error": error, "error_description": text})


def _json(status: int, answer: dict[str, object]) -> Reply:
    return Reply(status, (("Content-Type", "application/json; charset=utf-8"),), json.dumps(answer).encode())
