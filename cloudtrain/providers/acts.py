"""Several acts of which none may keep the others from happening."""

from collections.abc import Callable

from ..model.errors import ProviderError


def all_of(*acts: Callable[[], None]) -> None:
    """Do all of them, whichever fails, and raise the first failure then: what can go must not stay.

    Raises:
        ProviderError: the first failure.
    """
    failures: list[ProviderError] = []
    for act in acts:
        try:
            act()
        except ProviderError as error:
            failures.append(error)
    if failures:
        raise failures[0]
