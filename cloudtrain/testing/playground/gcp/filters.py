"""Compute Engine's list filters: `labels.a=b AND (status = RUNNING OR name:web*)`, and the older `name eq "web.*"`.

As the `filter` parameter's own description in the discovery document has it.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from .errors import GoogleError

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<mark>[()]|!=|<=|>=|[=<>:])|(?P<word>[^\s()=<>:!"']+))""",
    re.VERBOSE,
)
Test = Callable[[dict[str, Any]], bool]


def matches(text: str, resource: dict[str, Any]) -> bool:
    """Say whether a resource is what a filter asks for.

    Raises:
        GoogleError: it is no filter.
    """
    return not text.strip() or _compiled(text)(resource)


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> Test:
    reader = _Reader(text)
    test = reader.any_of()
    if reader.left():
        raise reader.wrong()
    return test


class _Reader:
    """Reads a filter from left to right. Words that stand beside each other are joined by AND."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._tokens = text, 0, self._split(text)

    def left(self) -> bool:
        return self._at < len(self._tokens)

    def wrong(self) -> GoogleError:
        return GoogleError(400, "invalid", f"Invalid value for field 'filter': '{self._text}'. Invalid list filter expression.")

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._next_is("OR"):
            self._at += 1
            tests.append(self._all_of())
        return lambda resource: any(test(resource) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self.left() and not self._next_is("OR") and not self._next_is(")"):
            if self._next_is("AND"):
                self._at += 1
            tests.append(self._one())
        return lambda resource: all(test(resource) for test in tests)

    def _one(self) -> Test:
        if self._next_is("NOT") or self._next_is("-"):
            self._at += 1
            inner = self._one()
            return lambda resource: not inner(resource)
        if self._next_is("("):
            self._at += 1
            inner = self.any_of()
            if self._take() != ")":
                raise self.wrong()
            return inner
        return self._comparison()

    def _comparison(self) -> Test:
        field, sign = self._take(), self._take()
        value = _plain(self._take())
        if sign not in COMPARISONS:
            raise self.wrong()
        compare, path = COMPARISONS[sign], field.split(".")
        return lambda resource: compare(_values(resource, path), value)

    def _take(self) -> str:
        if not self.left():
            raise self.wrong()
        self._at += 1
        return self._tokens[self._at - 1]

    def _next_is(self, token: str) -> bool:
        return self.left() and self._tokens[self._at] == token

    def _split(self, text: str) -> list[str]:
        tokens, at, text = [], 0, text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                raise GoogleError(
                    400, "invalid", f"Invalid value for field 'filter': '{text}'. Invalid list filter expression."
                )
            tokens.append(found[0].strip())
            at = found.end()
        return tokens


def _plain(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token[:1] in ("'", '"') else token


def _values(resource: Any, path: list[str]) -> list[str]:
    """Return all values at a path; a list on the way stands for each of its items."""
    if isinstance(resource, list):
        return [value for item in resource for value in _values(item, path)]
    if not path:
        return [str(resource).lower() if isinstance(resource, bool) else str(resource)]
    if not isinstance(resource, dict) or path[0] not in resource:
        return []
    return _values(resource[path[0]], path[1:])


def _has(values: list[str], wanted: str) -> bool:
    """`*` alone asks whether there is any value; at an end of a word it stands for anything; else a part of it will do."""
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    found = re.compile(pattern if "*" in wanted else f".*{pattern}.*", re.IGNORECASE | re.DOTALL)
    return any(found.fullmatch(value) for value in values)


def _alike(value: str, wanted: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    return re.fullmatch(pattern, value, re.DOTALL) is not None


def _ordered(sign: Callable[[Any, Any], bool]) -> Callable[[list[str], str], bool]:
    def compare(values: list[str], wanted: str) -> bool:
        try:
            return any(sign(float(value), float(wanted)) for value in values)
        except ValueError:
            return any(sign(value, wanted) for value in values)

    return compare


COMPARISONS: dict[str, Callable[[list[str], str], bool]] = {
    "=": lambda values, wanted: any(_alike(value, wanted) for value in values),
    "!=": lambda values, wanted: not any(_alike(value, wanted) for value in values),
    ":": _has,
    "eq": lambda values, wanted: any(re.fullmatch(wanted, value) for value in values),
    "ne": lambda values, wanted: not any(re.fullmatch(wanted, value) for value in values),
    "<": _ordered(lambda a, b: bool(a < b)),
    "<=": _ordered(lambda a, b: bool(a <= b)),
    ">": _ordered(lambda a, b: bool(a > b)),
    ">=": _ordered(lambda a, b: bool(a >= b)),
}
