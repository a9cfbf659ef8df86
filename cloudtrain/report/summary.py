"""The head of the page: what ran, how it ended, where, for how long and for how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .facts import mapping_in, number_in, text_in, time_in
from .series import Sample
from .words import NOT_KNOWN, duration, moment, money, price_per_hour, safe

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Look:
    """How an outcome is shown. Never by colour alone: the icon and the words say the same."""

    words: str
    tone: str
    icon: str


_TICK, _CROSS = '<path d="M2.5 8.5l3.5 3.5 7.5-8"/>', '<path d="M3.5 3.5l9 9m0-9l-9 9"/>'
_BACK = '<path d="M3 8a5 5 0 1 0 1.6-3.7M3 2.5v3h3"/>'
_CLOCK = '<circle cx="8" cy="8" r="6"/><path d="M8 4.5V8l2.5 2"/>'
_COIN = '<path d="M8 2v12M11 4.8c-1-.9-5.6-1.4-5.6 1 0 2.8 5.6 1.6 5.6 4.3 0 2.4-4.8 2-6 .8"/>'
_SQUARE, _DASH = '<rect x="3.5" y="3.5" width="9" height="9" rx="1"/>', '<path d="M3 8h10"/>'
_LOOKS = {
    "succeeded": _Look("succeeded", "good", _TICK),
    "job-failed": _Look("job failed", "bad", _CROSS),
    "failed": _Look("failed before or around the job", "bad", _CROSS),
    "reclaimed": _Look("machine reclaimed by the cloud", "warn", _BACK),
    "out-of-budget": _Look("out of budget", "warn", _COIN),
    "out-of-time": _Look("out of time", "warn", _CLOCK),
    "idle": _Look("ended for idleness", "warn", _CLOCK),
    "cancelled": _Look("cancelled", "calm", _SQUARE),
    "lost": _Look("lost", "bad", _CROSS),
}
_UNFINISHED = _Look("not finished", "calm", _DASH)


def heading(record: Record) -> str:
    """Return the run's name, its outcome and the reason."""
    outcome = text_in(record, "outcome")
    look = _LOOKS.get(outcome, _Look(outcome, "calm", _DASH)) if outcome else _UNFINISHED
    reason = text_in(record, "reason")
    sample = number_in(record, "sample")
    icon = f'<svg viewBox="0 0 16 16" aria-hidden="true">{look.icon}</svg>'
    return (
        f'<header><div class="title"><h1>{safe(job_name(record))}</h1>'
        f'<span class="badge {look.tone}">{icon}{safe(look.words)}</span></div>'
        + (f"<p>{safe(reason)}</p>" if reason else "")
        + (f'<p class="soft">A first try on {safe(f"{sample * 100:.3g}")} % of the data.</p>' if sample and sample < 1 else "")
        + "</header>"
    )


def job_name(record: Record) -> str:
    """Return what the job is called."""
    return text_in(record, "job") or text_in(record, "id") or "A run"


def tiles(record: Record, samples: list[Sample]) -> str:
    """Return the few numbers everybody looks for first."""
    usd, rate = number_in(record, "usd"), number_in(record, "price", "usd_per_hour")
    whole = _seconds_between(record, "created_at", "machine_ended_at") or _seconds_between(record, "created_at", "ended_at")
    job = _seconds_between(record, "started_at", "ended_at")
    busy = [gpu.util_percent for sample in samples for gpu in sample.gpus if gpu.util_percent is not None]
    found = [
        ("cost", "no meter" if rate == 0 and not usd else None if usd is None else money(usd)),
        ("from start to finish", None if whole is None else duration(whole)),
        ("the job itself", None if job is None else duration(job)),
        ("GPU busy, on average", f"{sum(busy) / len(busy):.0f} %" if busy else None),
    ]
    items = [f"<li><b>{safe(value)}</b><span>{label}</span></li>" for label, value in found if value is not None]
    return f'<ul class="tiles">{"".join(items)}</ul>' if items else ""


def particulars(record: Record) -> str:
    """Return the facts of the run as a list of terms."""
    rows = {
        "Run": text_in(record, "id"),
        "Machine": _machine(record),
        "Where": _where(record),
        "Price": price_in_words(record),
        "Started": _moment(record, "created_at"),
        "Job from": _moment(record, "started_at"),
        "Job to": _moment(record, "ended_at"),
        "Exit": _exit(record),
        "GPU check": _gpu_check(record),
    }
    return f'<section class="card">{terms(rows)}</section>'


def terms(rows: Mapping[str, str | None]) -> str:
    """Return a list of terms; those that nobody knows are left out."""
    items = "".join(f"<dt>{safe(term)}</dt><dd>{safe(value)}</dd>" for term, value in rows.items() if value)
    return f"<dl>{items}</dl>" if items else f'<p class="soft">{NOT_KNOWN}</p>'


def price_in_words(record: Record) -> str | None:
    """Write the machine's price per hour, how it was bought, and the day the price was true."""
    rate = number_in(record, "price", "usd_per_hour")
    if rate is None:
        return None
    if rate == 0:
        return "no meter runs on this machine"
    market, day = text_in(record, "price", "market"), text_in(record, "price", "priced_on")
    details = ", ".join(part for part in (market, f"price of {day}" if day else None) if part)
    return price_per_hour(rate) + (f" ({details})" if details else "")


def _seconds_between(record: Record, start: str, end: str) -> float | None:
    first, last = time_in(record, start), time_in(record, end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()


def _machine(record: Record) -> str | None:
    count, gpu = number_in(record, "instance", "gpu_count"), text_in(record, "instance", "gpu")
    gpus = f"{count:.0f} × {gpu}" if gpu and count else gpu
    return _joined(text_in(record, "machine"), text_in(record, "instance", "instance_type"), gpus)


def _where(record: Record) -> str | None:
    place = text_in(record, "instance", "zone") or text_in(record, "instance", "region")
    return _joined(text_in(record, "provider"), place, text_in(record, "instance", "id"))


def _joined(*parts: str | None) -> str | None:
    # A machine of one's own is often called the same at every level.
    return " · ".join(dict.fromkeys(part for part in parts if part)) or None


def _moment(record: Record, key: str) -> str | None:
    time = time_in(record, key)
    return None if time is None else moment(time)


def _exit(record: Record) -> str | None:
    signal, code = text_in(record, "signal"), number_in(record, "exit_code")
    if signal:
        return f"ended by {signal}"
    return None if code is None else f"exit code {code:.0f}"


def _gpu_check(record: Record) -> str | None:
    check = mapping_in(record, "gpu_check")
    if not check:
        return None
    verdict = "passed" if check.get("ok") is True else "failed"
    found = (text_in(check, "device"), text_in(check, "library"), text_in(check, "driver"), text_in(check, "reason"))
    return ": ".join(part for part in (verdict, ", ".join(part for part in found if part)) if part)
