"""What every pretend cloud's calls have in common, whatever they look like on the wire."""

from dataclasses import dataclass
from typing import Any, Protocol


class Call(Protocol):
    """One call of a cloud's API, as it was read."""

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environment it came in."""
        ...

    @property
    def service(self) -> str:
        """The service it is for."""
        ...

    @property
    def region(self) -> str:
        """Where, "" for everywhere."""
        ...

    @property
    def action(self) -> str:
        """What it asks for, as the API names it; "" when that cannot be told."""
        ...

    @property
    def parameters(self) -> dict[str, Any]:
        """All that the caller said."""
        ...

    @property
    def text(self) -> str:
        """The body as text."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
