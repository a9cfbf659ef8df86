"""What `.gitignore` and `.cloudtrainignore` say about one name, decided the way git decides.

pathspec reads the globs. The walk is ours, because git asks about a folder once and never looks below one that is ignored,
while a pattern of pathspec's also matches everything below what it names.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".cloudtrainignore")
"""Read in this order; the last line that matches decides."""

# A name no pattern was written for: whoever ignores it ignores everything in its folder.
_ANYTHING = "\0any\0name\0"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file.

    Attributes:
        ignores: False for a line that begins with "!".
        folders_only: true for a line that ends with "/".
        matches: told (the parent's path, the name), both counted from the ignore file's folder.
    """

    ignores: bool
    folders_only: bool
    matches: Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Level:
    """The rules of one folder. `prefix` is that folder's path below the root: "" or "a/b/"."""

    prefix: str
    rules: tuple[Rule, ...]


Levels = tuple[Level, ...]


def read_level(folder: Path, prefix: str) -> Levels:
    """Return the rules written in this folder: one level, or none."""
    lines: list[str] = []
    for name in IGNORE_FILES:
        path = folder / name
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
            lines += text.split("\n")
    rules = tuple(rule for rule in map(_parse, lines) if rule is not None)
    return (Level(prefix, rules),) if rules else ()


def is_ignored(levels: Levels, parent: str, name: str, kind: str) -> bool:
    """Say whether the deepest, last rule that matches ignores this name. `parent` is "" or "a/b/"."""
    for level in reversed(levels):
        for rule in reversed(level.rules):
            if _applies(rule, level.prefix, parent, name, kind):
                return rule.ignores
    return False


def without_blankets(levels: Levels, parent: str, name: str) -> Levels:
    """Return the levels without the rules that ignore this folder or all that is in it: a person named it."""
    below = f"{parent}{name}/"

    def kept(prefix: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        return tuple(
            rule
            for rule in rules
            if not rule.ignores
            or not (
                _applies(rule, prefix, parent, name, "folder")
                or _applies(rule, prefix, below, _ANYTHING, "file")
                or _applies(rule, prefix, below, _ANYTHING, "folder")
            )
        )

    return tuple(Level(level.prefix, kept(level.prefix, level.rules)) for level in levels)


def _applies(rule: Rule, prefix: str, parent: str, name: str, kind: str) -> bool:
    if (rule.folders_only and kind != "folder") or not f"{parent}{name}".startswith(prefix):
        return False
    # The regular expressions behind a pattern know "." and "$", which a newline in a name would confuse.
    return rule.matches(parent[len(prefix) :].replace("\n", "\0"), name.replace("\n", "\0"))


def _parse(line: str) -> Rule | None:
    line = line.removesuffix("\r")
    if line.startswith("#"):
        return None
    negated = line.startswith("!")
    line = _without_trailing_spaces(line.removeprefix("!"))
    folders_only = line.endswith("/")
    line = line.removesuffix("/")
    while "**/**" in line:
        line = line.replace("**/**", "**")
    if line.startswith("**/") and "/" not in line[3:]:
        line = line[3:]
    matches = _matcher(line) if line else None
    return Rule(not negated, folders_only, matches) if matches else None


def _without_trailing_spaces(line: str) -> str:
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    return line


def _matcher(glob: str) -> Callable[[str, str], bool] | None:
    if "/" not in glob:
        by_name = _compile(glob)
        return by_name and (lambda _, name: by_name(name))
    if glob.endswith("/**"):
        while glob.endswith("/**"):
            glob = glob.removesuffix("/**")
        if glob in ("", "**"):
            return lambda parent, _: bool(parent) or not glob
        by_parent = _compile(glob if "/" in glob else f"/{glob}")
        return by_parent and (lambda parent, _: by_parent(parent))
    by_path = _compile(glob)
    # A pattern also matches below what it names; only the name itself is meant here.
    return by_path and (lambda parent, name: by_path(parent + name) and not (parent and by_path(parent)))


def _compile(glob: str) -> Callable[[str], bool] | None:
    try:
        patterns = list(GitIgnoreSpec.from_lines(["\\" + glob if glob[0] in "!#" else glob]).patterns)
    except ValueError:  # git, too, ignores a line that is no pattern
        return None
    if not patterns or patterns[0].include is None:
        return None
    match_file = patterns[0].match_file
    return lambda path: match_file(path) is not None
