"""What lies in Cloud Storage."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class StoredObject:
    """One object."""

    name: str
    content: bytes
    made: datetime
    generation: int
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def md5(self) -> str:
        """Return its MD5 as Google writes it, base64."""
        return base64.b64encode(hashlib.md5(self.content, usedforsecurity=False).digest()).decode()

    @property
    def etag(self) -> str:
        """Return its mark as the XML interface shows it, MD5 in hexadecimal."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


@dataclass
class Bucket:
    """One bucket.

    Attributes:
        location: "US-CENTRAL1", "EU" …, as Google writes it.
        bindings: its IAM policy. policy_changes: how often that was written.
        is_uniform: rights are the policy's alone, and none is of a single object.
    """

    name: str
    location: str
    made: datetime
    objects: dict[str, StoredObject] = field(default_factory=dict)
    bindings: list[dict[str, Any]] = field(default_factory=list)
    policy_changes: int = 0
    is_uniform: bool = True

    @property
    def location_type(self) -> str:
        """Return "region", "dual-region" or "multi-region"."""
        return {"US": "multi-region", "EU": "multi-region", "ASIA": "multi-region", "NAM4": "dual-region"}.get(
            self.location, "region"
        )

    def put(self, name: str, content: bytes, made: datetime, content_type: str = "application/octet-stream") -> StoredObject:
        """Keep an object; one of that name is replaced."""
        earlier = self.objects.get(name)
        generation = max(int(made.timestamp() * 1e6), earlier.generation + 1 if earlier else 0)
        self.objects[name] = StoredObject(name, content, made, generation, content_type)
        return self.objects[name]
