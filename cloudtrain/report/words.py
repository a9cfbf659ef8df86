"""Numbers, times and foreign text as a person reads them on the page."""

import html
import math
from datetime import datetime

NOT_KNOWN = "not known"

# Control characters mean nothing on a page; the directional ones could make text read otherwise than it is written.
_UNSEEN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_UNSEEN |= dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\N{REPLACEMENT CHARACTER}")


def safe(text: str) -> str:
    """Return text from anywhere so that it stands on the page as it is, in an element or in a quoted attribute."""
    sound = text.encode("utf-8", "replace").decode("utf-8")
    return html.escape(sound.translate(_UNSEEN), quote=True)


def money(usd: float) -> str:
    """Write dollars: to the cent, or finer when there would be nothing left of them."""
    if 0 < abs(usd) < 0.1:
        return f"${usd:,.4f}"
    return f"${usd:,.2f}"


def price_per_hour(usd: float) -> str:
    """Write an hourly price to the hundredth of a cent, with at least whole cents."""
    dollars, _, parts = f"{usd:,.4f}".partition(".")
    return f"${dollars}.{parts[:2]}{parts[2:].rstrip('0')} an hour"


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count:,} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def size(count: float) -> str:
    """Write a number of bytes in decimal units."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def moment(time: datetime) -> str:
    """Write a time of day, UTC, to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def number(value: float) -> str:
    """Write a number with about four significant digits."""
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -4 <= exponent < 7:
        mantissa, _, power = f"{value:.3g}".partition("e")
        return f"{mantissa}e{int(power)}"
    text = f"{value:,.{max(0, 3 - exponent)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
