"""Service accounts and their keys: made, asked for tokens, asked to sign."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@dataclass
class Identity:
    """One service account. Its key is made when it is first needed.

    Attributes:
        roles: what its own IAM policy says: who may act as it.
    """

    email: str
    unique_id: str
    project: str
    display_name: str = ""
    description: str = ""
    policy: list[dict[str, object]] = field(default_factory=list)
    _key: "RSAPrivateKey | None" = None

    @property
    def name(self) -> str:
        """Return its resource name."""
        return f"projects/{self.project}/serviceAccounts/{self.email}"

    @property
    def key_id(self) -> str:
        """Return the name of its key."""
        return hashlib.sha1(self.email.encode(), usedforsecurity=False).hexdigest()

    def sign(self, content: bytes) -> bytes:
        """Return the signature of a text, RSA with SHA-256."""
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._private().sign(content, padding.PKCS1v15(), SHA256())

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        """Say whether a signature is its own."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self._private().public_key().verify(signature, content, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def key_file(self, token_uri: str) -> str:
        """Return what a person downloads as its key, a JSON text."""
        from cryptography.hazmat.primitives import serialization

        private = self._private().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps({
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": self.key_id,
            "private_key": private.decode(),
            "client_email": self.email,
            "client_id": self.unique_id,
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }, indent=1)  # fmt: skip

    def _private(self) -> "RSAPrivateKey":
        if self._key is None:
            from cryptography.hazmat.primitives.asymmetric import rsa

            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._key


def unquoted(text: str) -> bytes:
    """Return what URL-safe base64 without its end says.

    Raises:
        ValueError: it is none.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
