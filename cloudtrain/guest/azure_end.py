"""How a machine on Azure ends its own bill: it asks Azure, in its own name, to deallocate or to delete it.

Merely switched off it would bill on. Its identity may do this and nothing else; the right may take effect ten minutes after it
was given, so whoever calls asks again and again.
"""

from __future__ import annotations

import json
import os
import urllib.parse
from typing import Any

DEALLOCATE, DELETE = "deallocate", "delete"

METADATA_TIMEOUT_S = 3.0
"""How long the metadata service may take, in seconds: it is on the machine's own host, or there is none."""

_TIMEOUT_S = 20.0
_MOST_ANSWER = 1 << 20
_API = "2024-11-01"
_RESOURCE_MANAGERS = {
    "AzurePublicCloud": "https://management.azure.com",
    "AzureUSGovernmentCloud": "https://management.usgovcloudapi.net",
    "AzureChinaCloud": "https://management.chinacloudapi.cn",
}
"""By the name that a machine's metadata has for its cloud."""


def can_end() -> bool:
    """Say whether this machine has an identity in whose name it may ask."""
    try:
        return bool(_token(_resource_manager(_compute())))
    except (OSError, ValueError, KeyError):
        return False


def end(action: str) -> None:
    """Ask Azure to deallocate or delete this machine; return when it has accepted. It takes effect a little later.

    Raises:
        OSError: it was refused, or could not be asked; says why.
    """
    try:
        compute = _compute()
        manager, id = _resource_manager(compute), compute["resourceId"]
        headers = {"Authorization": f"Bearer {_token(manager)}", "Content-Length": "0"}
    except (ValueError, KeyError) as error:
        raise OSError(f"the metadata service does not say what it should: {error}") from error
    method, path = ("DELETE", id) if action == DELETE else ("POST", f"{id}/deallocate")
    status, said = _ask(manager, method, f"{path}?api-version={_API}", headers, _TIMEOUT_S)
    if status not in (200, 202, 204):
        raise OSError(f"Azure answered {status} to {action}: {said[:300].decode('utf-8', 'replace')}")


def metadata(path: str, timeout_s: float = METADATA_TIMEOUT_S) -> dict[str, Any]:
    """Return what the machine's metadata service says. AZURE_POD_IDENTITY_AUTHORITY_HOST names another service.

    Raises:
        OSError: it is not there, or refuses.
        ValueError: what it says is no object.
    """
    service = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or "http://169.254.169.254"
    status, said = _ask(service.rstrip("/"), "GET", f"/metadata/{path}", {"Metadata": "true"}, timeout_s)
    if status != 200:
        raise OSError(f"the metadata service answered {status}: {said[:300].decode('utf-8', 'replace')}")
    content = json.loads(said)
    if not isinstance(content, dict):
        raise ValueError("an answer is no object")
    return content


def _compute() -> dict[str, Any]:
    found: dict[str, Any] = metadata("instance?api-version=2021-02-01")["compute"]
    return found


def _resource_manager(compute: dict[str, Any]) -> str:
    """Return the address of Azure's own interface. CLOUDTRAIN_RESOURCE_MANAGER_URL names another one."""
    own = os.environ.get("CLOUDTRAIN_RESOURCE_MANAGER_URL", "").rstrip("/")
    return own or _RESOURCE_MANAGERS[compute.get("azEnvironment") or "AzurePublicCloud"]


def _token(manager: str) -> str:
    resource = urllib.parse.quote(f"{manager}/", safe="")
    token = metadata(f"identity/oauth2/token?api-version=2018-02-01&resource={resource}")["access_token"]
    if not isinstance(token, str):
        raise ValueError("the token is none")
    return token


def _ask(base: str, method: str, path: str, headers: dict[str, str], timeout_s: float) -> tuple[int, bytes]:
    import http.client  # costs a machine of another cloud the start of its keeper

    to = urllib.parse.urlsplit(base)
    kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
    connection = kind(to.netloc, timeout=timeout_s)  # by no proxy
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_ANSWER)
    except http.client.HTTPException as error:
        raise OSError(f"{to.netloc} does not speak HTTP: {error!r}") from error
    finally:
        connection.close()
