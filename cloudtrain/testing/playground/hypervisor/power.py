"""What `shutdown` and its kin were asked, read as systemd's own tools read it."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_NOT_SYSTEMD = (
    "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n"
)
_LETTERS = {"H": "halt", "P": "poweroff", "h": "poweroff", "p": "poweroff", "r": "reboot", "c": "cancel", "k": "warn"}
_WORDS = {"halt": "halt", "poweroff": "poweroff", "reboot": "reboot", "show": "show", "wtmp-only": "warn"}
_LEVELS = {"0": "poweroff", "6": "reboot"}


@dataclass(frozen=True, slots=True)
class Act:
    """End or restart the machine in so many seconds, 0 for now. `mode` is "poweroff", "halt" or "reboot".

    A halted machine is at a standstill and yet switched on: a cloud goes on billing it, as EC2 does.
    """

    mode: str
    delay_s: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget what was scheduled."""


@dataclass(frozen=True, slots=True)
class Show:
    """Say what is scheduled."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do nothing, and say so. Exit code 0 is a question that asked for nothing."""

    text: str
    exit_code: int = 1


Request = Act | Cancel | Show | Refuse


def read(tool: str, argv: list[str], now: datetime) -> Request:
    """Read a command line. `now` is the machine's time of day, for `shutdown 23:30`."""
    if tool == "systemctl":
        return _systemctl(argv)
    if tool == "init":
        mode = _LEVELS.get(argv[0] if argv else "")
        return Act(mode) if mode else Refuse("init: this pretend machine knows the levels 0 and 6\n")
    modes, words = _options(argv)
    if "warn" in modes:
        return Refuse("", 0)
    if tool != "shutdown":
        return Act(
            "reboot" if "reboot" in modes else "poweroff" if "poweroff" in modes else "halt" if "halt" in modes else tool
        )
    return _shutdown(modes, words, now)


def _shutdown(modes: list[str], words: list[str], now: datetime) -> Request:
    if "cancel" in modes:
        return Cancel()
    if "show" in modes:
        return Show()
    mode = "halt" if "halt" in modes else modes[-1] if modes else "poweroff"
    delay_s = _delay(words[0] if words else "+1", now)
    if delay_s is None:
        return Refuse(f"Failed to parse time specification: {words[0]}\n")
    return Act(mode, delay_s, " ".join(words[1:]))


def _systemctl(argv: list[str]) -> Request:
    verb = next((word for word in argv if not word.startswith("-")), "")
    return Act(verb) if verb in ("poweroff", "halt", "reboot") else Refuse(_NOT_SYSTEMD)


def _options(argv: list[str]) -> tuple[list[str], list[str]]:
    """Return what the options ask for, in their order, and the words that are none."""
    modes: list[str] = []
    words: list[str] = []
    for place, word in enumerate(argv):
        if word == "--":
            return modes, words + argv[place + 1 :]
        if word.startswith("--"):
            modes += [_WORDS[word[2:]]] if word[2:] in _WORDS else []
        elif word.startswith("-"):
            modes += [_LETTERS[letter] for letter in word[1:] if letter in _LETTERS]
        else:
            words.append(word)
    return modes, words


def _delay(when: str, now: datetime) -> float | None:
    if when == "now":
        return 0.0
    if re.fullmatch(r"\+[0-9]{1,9}", when):
        return int(when[1:]) * 60.0
    clock = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", when)
    if clock is None:
        return None
    then = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    return (then - now if then > now else then + timedelta(days=1) - now).total_seconds()
