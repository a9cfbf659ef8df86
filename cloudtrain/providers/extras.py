"""What a cloud needs that a plain installation does not bring, and what this version cannot do with it yet."""

from collections.abc import Sequence
from importlib.util import find_spec

from ..model.finding import Finding


def sdk_finding(provider: str, modules: Sequence[str]) -> Finding:
    """Say whether the cloud's SDK is installed, without importing it."""
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        return Finding(False, "sdk", f"not installed: {', '.join(missing)}", f"pip install 'cloudtrain[{provider}]'")
    return Finding(True, "sdk", f"installed: {', '.join(modules)}")


def is_installed(module: str) -> bool:
    """Say whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


def credentials_finding(found: str, otherwise: str) -> Finding:
    """Say where credentials were found, or which line to type when `found` is ""."""
    if found:
        return Finding(True, "credentials", f"found: {found}")
    return Finding(False, "credentials", "none were found on this computer", otherwise)
