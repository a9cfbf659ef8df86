"""The providers by name. They are found by their entry points and imported when named, ours and other people's alike."""

from functools import cache
from typing import TYPE_CHECKING

from ..model.errors import CloudtrainError, ConfigError, ProviderUnavailableError
from .base import OfferSource, ProviderSettings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "cloudtrain.providers"


def provider_names() -> tuple[str, ...]:
    """Return every installed provider's name, sorted, without importing any."""
    return tuple(sorted(_entry_points()))


def open_provider(name: str, settings: ProviderSettings) -> OfferSource:
    """Import the provider of this name and make it.

    Raises:
        ConfigError: there is no provider of that name.
        ProviderUnavailableError: it cannot be imported or made, or is no provider.
    """
    found = _entry_points()
    if name not in found:
        raise _unknown(name, tuple(sorted(found)))
    entry = found[name]
    try:
        provider = entry.load()(settings)
    except CloudtrainError:
        raise
    except Exception as error:
        # A plug-in is other people's code: whatever it does wrong, the person hears which package to look at.
        raise _broken(entry, f"{type(error).__name__}: {error}") from error
    if not isinstance(provider, OfferSource):
        raise _broken(entry, f"{entry.value} made a {type(provider).__name__}, which is no provider")
    return provider


@cache
def _entry_points() -> dict[str, "EntryPoint"]:
    # Read once: a look at every cloud asks for each of them, and nothing is installed meanwhile.
    from importlib.metadata import entry_points  # here, because most commands need no provider

    # Ours win over a plug-in that takes the same name.
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=_is_ours)}


def _is_ours(entry: "EntryPoint") -> bool:
    return entry.value.startswith("cloudtrain.")


def _unknown(name: str, names: tuple[str, ...]) -> ConfigError:
    import difflib  # here, because only a mistyped name needs it

    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names)}"
    return ConfigError(f"there is no provider {name!r}", hint, field="provider")


def _broken(entry: "EntryPoint", why: str) -> ProviderUnavailableError:
    package = entry.dist.name if entry.dist is not None else entry.value.partition(".")[0]
    return ProviderUnavailableError(
        f"The provider {entry.name} of the package {package} does not load: {why}",
        f"Install it again: pip install --force-reinstall {package}",
    )
