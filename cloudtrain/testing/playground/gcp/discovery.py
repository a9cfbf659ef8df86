"""Google's own descriptions of its services (discovery documents): which call a request is, and what it may carry.

They come with google-api-python-client, all but that of Cloud Quotas, which Google has not published there: it is written by
hand beside this file, from the reference at docs.cloud.google.com/docs/quotas/reference/rest/v1, as far as it is needed.
"""

import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

DOCUMENTS = {
    "compute": ("compute.v1",),
    "storage": ("storage.v1",),
    "upload": ("storage.v1",),
    "v1": (
        "cloudbilling.v1",
        "cloudquotas.v1",
        "iamcredentials.v1",
        "iam.v1",
        "cloudresourcemanager.v1",
        "serviceusage.v1",
    ),
    "v2": ("tpu.v2",),
    "v2alpha1": ("tpu.v2alpha1",),
    "v3": ("cloudresourcemanager.v3",),
    "oauth2": ("oauth2.v2",),
}
"""Which documents describe a path, by its first part. Where two describe the same call, the first one has it."""

UPLOAD = "/upload"
MISSING = "the pretend Google Cloud needs google-api-python-client: its discovery documents are what requests are held to"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service.

    Attributes:
        spec: its description, as the document has it.
        schemas: all that the document calls by name.
        shared: the query parameters that every method of the service takes.
    """

    id: str
    service: str
    pattern: re.Pattern[str]
    spec: dict[str, Any]
    schemas: dict[str, Any]
    shared: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the descriptions of its parameters, in path and query."""
        found: dict[str, Any] = self.spec.get("parameters", {})
        return found

    @property
    def request(self) -> dict[str, Any] | None:
        """Return the schema of its body, or None."""
        return self.spec.get("request")

    @property
    def response(self) -> dict[str, Any] | None:
        """Return the schema of its reply, or None."""
        return self.spec.get("response")


def check_installed() -> None:
    """Do nothing when the documents are there.

    Raises:
        ImportError: they are not.
    """
    _folder()


def find_method(verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
    """Return the method that a request calls and its path's parameters, or None. `path` is as it was sent, still quoted."""
    first = path.lstrip("/").partition("/")[0]
    for name in DOCUMENTS.get(first, ()):
        service = _service(name)
        for method in service.get((verb, path.count("/")), []) + service.get((verb, None), []):
            if found := method.pattern.fullmatch(path):
                return method, {key: unquote(value) for key, value in found.groupdict().items()}
    return None


Index = dict[tuple[str, int | None], list[Method]]


@functools.cache
def _service(name: str) -> Index:
    """Return a document's methods, by verb and the number of slashes in their path where that is fixed."""
    document = json.loads(_path(name).read_text())
    index: Index = {}
    for spec in _methods(document):
        for path in _paths(document, spec):
            slashes = None if "{+" in path else path.count("/")
            pattern = _pattern(path, spec.get("parameters", {}))
            method = Method(
                spec["id"], document["name"], pattern, spec, document.get("schemas", {}), document.get("parameters", {})
            )
            # What follows in an upload of several parts is PUT where the first one was POSTed.
            for verb in (spec["httpMethod"], *(["PUT"] if path.startswith(UPLOAD) else [])):
                index.setdefault((verb, slashes), []).append(method)
    return index


def _methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for below in resource.get("resources", {}).values():
        yield from _methods(below)


def _paths(document: dict[str, Any], spec: dict[str, Any]) -> list[str]:
    base = "/" + document["servicePath"].strip("/")
    paths = [f"{base.rstrip('/')}/{spec['path']}"]
    if "mediaUpload" in spec:
        paths.append(f"{UPLOAD}{paths[0]}")
    return paths


def _pattern(path: str, parameters: dict[str, Any]) -> re.Pattern[str]:
    parts = re.split(r"\{(\+?)(\w+)\}", path)
    text = re.escape(parts[0])
    for plus, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        inner = str(parameters.get(name, {}).get("pattern", ".+")).strip("^$") if plus else "[^/]+"
        text += f"(?P<{name}>{inner}){re.escape(literal)}"
    return re.compile(text)


def _path(name: str) -> Path:
    if name == "cloudquotas.v1":
        return Path(__file__).with_name("cloudquotas.v1.json")
    return _folder() / f"{name}.json"


@functools.cache
def _folder() -> Path:
    found = importlib.util.find_spec("googleapiclient")
    if found is None or found.origin is None:
        raise ImportError(MISSING)
    return Path(found.origin).parent / "discovery_cache" / "documents"
