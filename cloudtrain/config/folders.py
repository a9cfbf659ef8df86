"""Where cloudtrain keeps what it writes on this computer. Pure path functions: nothing is made, nothing is read."""

import os
from pathlib import Path

_APP = "cloudtrain"


def state_folder() -> Path:
    """Return the folder of the ledger and the runs' records: CLOUDTRAIN_HOME, else the user's state folder."""
    home = _from_environment("CLOUDTRAIN_HOME")
    if home is not None:
        return home
    from platformdirs import user_state_path

    return user_state_path(_APP, appauthor=False)


def cache_folder() -> Path:
    """Return the folder of what can be fetched again: CLOUDTRAIN_CACHE, CLOUDTRAIN_HOME/cache or the user's cache folder."""
    cache = _from_environment("CLOUDTRAIN_CACHE")
    if cache is not None:
        return cache
    home = _from_environment("CLOUDTRAIN_HOME")
    if home is not None:
        return home / "cache"
    from platformdirs import user_cache_path

    return user_cache_path(_APP, appauthor=False)


def user_config_folder() -> Path:
    """Return the folder of the person's own settings: CLOUDTRAIN_HOME/config, else the user's config folder."""
    home = _from_environment("CLOUDTRAIN_HOME")
    if home is not None:
        return home / "config"
    from platformdirs import user_config_path

    return user_config_path(_APP, appauthor=False)


def _from_environment(name: str) -> Path | None:
    """Return an absolute path, so that it still means the same after a change of folder. Empty counts as unset."""
    value = os.environ.get(name, "")
    return Path(value).expanduser().absolute() if value else None
