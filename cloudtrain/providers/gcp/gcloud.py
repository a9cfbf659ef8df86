"""What a person has set with `gcloud` counts here too: read from the environment and gcloud's files, never by running it."""

import configparser
import os
from pathlib import Path

from ...model.errors import CredentialsError


def folder() -> Path:
    """Return the folder where gcloud keeps its settings and logins."""
    return Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")


def setting(section: str, name: str) -> str:
    """Return one of gcloud's properties: the environment's, else the active configuration's, "" when nobody set it.

    Raises:
        CredentialsError: the active configuration cannot be read.
    """
    return os.environ.get(f"CLOUDSDK_{section}_{name}".upper()) or _active().get(section, name, fallback="").strip()


def _active() -> configparser.ConfigParser:
    # gcloud's files hold percent signs as they are.
    parser = configparser.ConfigParser(interpolation=None)
    file = folder() / "configurations" / f"config_{_active_name()}"
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"gcloud's configuration {file} cannot be read: {error}", "gcloud config list") from error
    return parser


def _active_name() -> str:
    named = os.environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME")
    if named:
        return named
    try:
        return (folder() / "active_config").read_text().strip() or "default"
    except OSError:
        return "default"
