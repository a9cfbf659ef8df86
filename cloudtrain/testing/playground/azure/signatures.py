"""Links to blobs that bear a signature: keys that a login signs with, and whether a link was signed with one of them.

As learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas has it for version 2020-12-06 and later.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from .account import Account
from .errors import ArmError

LONGEST = timedelta(days=7)
SINCE = "2020-12-06"
"""The version since which links are signed like this."""

_SIGNED = (
    "skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "sip", "spr", "sv", "sr", "snapshot", "ses",
    "rscc", "rscd", "rsce", "rscl", "rsct",
)  # fmt: skip


class Signatures:
    """Gives keys, and knows what was signed with them."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._keys: dict[tuple[str, str, str], bytes] = {}

    def new_key(self, principal: str, asked: bytes, version: str) -> bytes:
        """Return the XML of a key for somebody; `asked` says from when until when.

        Raises:
            ArmError: it is not readable, or asks for more than seven days.
        """
        try:
            told = {child.tag: str(child.text) for child in ElementTree.fromstring(asked)}
            start, end = told["Start"], told["Expiry"]
            length = _time(end) - max(_time(start), self._account.timeline.now() - timedelta(minutes=15))
        except (ElementTree.ParseError, KeyError, ValueError) as error:
            raise ArmError("InvalidXmlDocument", "XML specified is not syntactically valid.") from error
        if length > LONGEST + timedelta(minutes=15) or length <= timedelta():
            raise ArmError("InvalidXmlNodeValue", "The value for one of the XML nodes is not in the correct format.")
        key = self._keys[principal, start, end] = secrets.token_bytes(32)
        written = {
            "SignedOid": principal,
            "SignedTid": self._account.tenant,
            "SignedStart": start,
            "SignedExpiry": end,
            "SignedService": "b",
            "SignedVersion": version,
            "Value": base64.b64encode(key).decode(),
        }
        root = ElementTree.Element("UserDelegationKey")
        for name, text in written.items():
            ElementTree.SubElement(root, name).text = text
        return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))

    def check(self, query: Mapping[str, str], path: str, right: str) -> str:
        """Return in whose name a link to "/blob/ACCOUNT/CONTAINER/NAME" was signed.

        Raises:
            ArmError: it was not, or not for this, or its time is over.
        """
        now = self._account.timeline.now()
        key = self._keys.get((query.get("skoid", ""), query.get("skt", ""), query.get("ske", "")))
        if key is None or query.get("sv", "") < SINCE:
            raise _not_signed("There is no such key.")
        target = path if query.get("sr") == "b" else "/".join(path.split("/")[:4])
        words = [query.get("sp", ""), query.get("st", ""), query.get("se", ""), target]
        text = "\n".join([*words, *(query.get(name, "") for name in _SIGNED)])
        wanted = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(wanted, query.get("sig", "")):
            raise _not_signed("Signature did not match.")
        if not _time(query.get("st") or query["skt"]) <= now <= min(_time(query["se"]), _time(query["ske"])):
            raise _not_signed("Signature not valid in the specified time frame.")
        if right not in query.get("sp", ""):
            text = "This request is not authorized to perform this operation using this permission."
            raise ArmError("AuthorizationPermissionMismatch", text, status=403)
        return query["skoid"]


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _not_signed(why: str) -> ArmError:
    text = (
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including "
    )
    return ArmError("AuthenticationFailed", f"{text}the signature. {why}", status=403)
