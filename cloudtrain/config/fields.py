"""What a single value in a config file may be: each kind with the check that reads it and the words that name it.

A check takes what the YAML reader or a flag gives (text, true/false, a number) and returns what the model wants, or raises
`refuse(...)`, which `complaints` turns into a `ConfigError` at the right line.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from ..model.errors import ConfigError
from .duration import format_duration, parse_duration
from .wording import found
from .yaml_file import UNPRINTABLE

LONGEST_DURATION_S = 120 * 86400.0
"""No cloud keeps a deadline further away than this, in seconds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is called in the documentation."""

    words: str


def refuse(message: str, hint: str = "", *, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """Return the error of a value that will not do. `at` leads from the field to the part that is meant."""
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint, "at": at})


def line_of_text(value: object) -> str:
    """Return text without line breaks and control characters that is more than blanks."""
    text = block_of_text(value)
    if "\n" in text or "\r" in text or "\t" in text:
        raise refuse(f"expected one line of text, found {found(text)}", "Write it on one line, without tabs.")
    return text


def block_of_text(value: object) -> str:
    """Return text that is more than blanks; line breaks and tabs are allowed."""
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"expected text, found {found(value)}")
    _refuse_unprintable(value)
    return value


def word(value: object) -> str:
    """Return text without blanks."""
    text = line_of_text(value)
    if any(char.isspace() for char in text):
        raise refuse(f"expected one word, found {found(text)}", "Leave the blanks out.")
    return text


def name_of_job(value: object) -> str:
    """Return a name that can be a folder's and a tag's."""
    return _matching(
        value, r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", "a name of letters, digits, dots, dashes and underscores, at most 40"
    )


def whole_number(value: object) -> int:
    """Return a whole number; `010`, which some would read as eight, is none."""
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,8})", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise refuse(f"expected a whole number, found {found(value)}")


def number(value: object) -> float:
    """Return a finite number."""
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", value):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise refuse(f"expected a number, found {found(value)}")


def dollars(value: object) -> float:
    """Return a positive amount of money, USD, also from `$5`."""
    amount = math.nan
    if isinstance(value, str) and re.fullmatch(r"\$? ?[0-9]{1,9}(\.[0-9]{0,9})?|\$?\.[0-9]{1,9}", value):
        amount = float(value.lstrip("$ "))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        amount = float(value)
    if not math.isfinite(amount):
        raise refuse(f"expected an amount in US dollars, found {found(value)}", "Write the number alone, with a point: `5.00`.")
    if amount <= 0:
        raise refuse(f"expected more than zero dollars, found {found(value)}", "Leave it out for no cap in dollars.")
    return amount


def duration(value: object) -> float:
    """Return a length of time in seconds."""
    if value == "never":
        raise refuse("every machine ends at some time", "Write how long it may live at most: `24h`, `2d`.")
    try:
        seconds = parse_duration(value)
    except ConfigError as error:
        raise refuse(error.message, error.hint) from error
    if seconds > LONGEST_DURATION_S:
        raise refuse(f"expected at most {format_duration(LONGEST_DURATION_S)}, found {found(value)}", "Write less.")
    return seconds


def duration_or_never(value: object) -> float | None:
    """Return a length of time in seconds, or None for `never`."""
    return None if value == "never" else duration(value)


def environment_name(value: object) -> str:
    """Return a name an environment variable can have."""
    hint = "Use letters, digits and underscores, a letter first: `EPOCHS`."
    return _matching(value, r"[A-Za-z_][A-Za-z0-9_]{0,199}", "the name of an environment variable", hint)


def environment_value(value: object) -> str:
    """Return an environment variable's value: text as it is written. A bare truth is refused: spellings differ."""
    if isinstance(value, bool):
        raise refuse(f"expected text, found {found(value)}", f'Put it in quotes: `"{found(value)}"`.')
    if isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str):
        raise refuse(f"expected text, found {found(value)}", 'Put the value in quotes; for an empty one write `""`.')
    _refuse_unprintable(value)
    return value


def provider_name(value: object) -> str:
    """Return the name of a provider; whether there is one is for the registry to say."""
    return _matching(
        value, "[a-z][a-z0-9-]{0,39}", "the name of a provider", "Use lower case: `aws`, `azure`, `gcp`, `hosts`, `local`."
    )


def user_name(value: object) -> str:
    """Return a login name. One that begins with a dash would be an option to ssh."""
    return _matching(value, r"[A-Za-z_][A-Za-z0-9._-]{0,63}", "a login name")


def ssh_option(value: object) -> str:
    """Return the name of an OpenSSH client option that leaves the pinned host keys alone."""
    name = _matching(
        value, "[A-Za-z][A-Za-z0-9]{0,39}", "the name of an ssh option", "Name it as in ssh_config: `ServerAliveInterval`."
    )
    if name.casefold() in _UNPINNING:
        raise refuse(
            f"{name} would undo the check of the machine's host key",
            "Remove it: cloudtrain knows each machine's key before it first connects, and accepts no other.",
        )
    return name


def http_url(value: object) -> str:
    """Return an http or https address."""
    text = word(value)
    hint = "Write the whole address: `https://ec2.internal.example:8443`."
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise refuse(f"expected an http or https address, found {found(text)}", hint) from error
    if not usable:
        raise refuse(f"expected an http or https address, found {found(text)}", hint)
    return text


def address_block(value: object) -> str:
    """Return a block of internet addresses that is not all of them."""
    text = word(value)
    hint = "Write it with its length: `203.0.113.7/32`, `2001:db8::/64`."
    try:
        network = ip_network(text, strict=True)
    except ValueError as error:
        raise refuse(f"expected a block of addresses, found {found(text)}: {error}", hint) from error
    if network.prefixlen == 0:
        raise refuse(
            f"{found(text)} is the whole internet", "Name the addresses that are to reach the machine, or leave it out."
        )
    return str(network)


def switch(value: object) -> bool:
    """Return true or false, as YAML or a flag writes them."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise refuse(f"expected true or false, found {found(value)}")


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names with repetitions folded, order kept."""
    return tuple(dict.fromkeys(names))


_UNPINNING = frozenset(
    {
        "stricthostkeychecking",
        "userknownhostsfile",
        "globalknownhostsfile",
        "knownhostscommand",
        "hostkeyalias",
        "verifyhostkeydns",
        "updatehostkeys",
        "nohostauthenticationforlocalhost",
    }
)


def _matching(value: object, pattern: str, what: str, hint: str = "") -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise refuse(f"expected {what}, found {found(value)}", hint)
    return value


def _refuse_unprintable(text: str) -> None:
    # A carriage return is a line's end in a file, and gone by now; one that is still here was written as an escape.
    if bad := UNPRINTABLE.search(text) or re.search("\r", text):
        raise refuse(f"the control character {found(bad[0])} is not text", "Remove it.")


def _kind(check: Callable[[object], Any], words: str) -> tuple[BeforeValidator, Kind]:
    return BeforeValidator(check), Kind(words)


Line = Annotated[str, *_kind(line_of_text, "text")]
Block = Annotated[str, *_kind(block_of_text, "text")]
Word = Annotated[str, *_kind(word, "word")]
JobName = Annotated[str, *_kind(name_of_job, "name")]
WholeNumber = Annotated[int, *_kind(whole_number, "whole number")]
Number = Annotated[float, *_kind(number, "number")]
DollarsIfAny = Annotated[float | None, *_kind(dollars, "US dollars")]
"""None only as a default: an amount that was begun and not written is an error."""

Duration = Annotated[float, *_kind(duration, "length of time")]
DurationOrNever = Annotated[float | None, *_kind(duration_or_never, "length of time, or `never`")]
EnvName = Annotated[str, *_kind(environment_name, "name")]
EnvValue = Annotated[str, *_kind(environment_value, "text or number")]
ProviderName = Annotated[str, *_kind(provider_name, "name")]
UserName = Annotated[str, *_kind(user_name, "login name")]
SshOption = Annotated[str, *_kind(ssh_option, "option")]
HttpUrl = Annotated[str, *_kind(http_url, "http or https address")]
AddressBlock = Annotated[str, *_kind(address_block, "block of addresses")]
Switch = Annotated[bool, *_kind(switch, "true or false")]
EachOnce = AfterValidator(each_once)
