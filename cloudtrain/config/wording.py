"""How values, names and paths are put into a sentence."""

from collections.abc import Iterable
from pathlib import Path

_LONGEST = 60


def quoted(text: str) -> str:
    """Return text in double quotes, cut when long, with everything a terminal must not see escaped."""
    return f'"{printable(shortened(text))}"'


def shortened(text: str) -> str:
    """Return text, cut when it is longer than a sentence can bear."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def printable(text: str) -> str:
    """Return text with control characters, line breaks and lone surrogates written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def found(value: object) -> str:
    """Name a value a person wrote, as it would be called in the file."""
    if isinstance(value, str):
        return quoted(value) if value else "nothing"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a group of settings"
    if isinstance(value, (list, tuple)):
        return "a list"
    return quoted(repr(value)).strip('"')


def shown_path(path: Path) -> str:
    """Return a path as the person knows it: relative when it lies below the current folder."""
    try:
        relative = path.absolute().relative_to(Path.cwd())
    except (ValueError, OSError):  # it lies elsewhere, or the current folder was deleted
        return printable(str(path))
    return printable(str(relative))


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice a mistyped or shortened word most likely meant, or None."""
    from difflib import get_close_matches  # only mistakes pay for it

    by_folded = {choice.casefold(): choice for choice in choices}
    folded = word[:_LONGEST].casefold()
    begun = sorted(choice for choice in by_folded if len(folded) >= 3 and choice.startswith(folded))
    close = get_close_matches(folded, by_folded, n=1, cutoff=0.6) or begun
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return a question ending in a space, or "" when nothing is near."""
    near = nearest(word, choices)
    return f"Did you mean `{near}`? " if near else ""
