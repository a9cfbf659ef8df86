"""The person's own settings, for every job and machine: `settings.yaml` in the user's config folder."""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from ..model.errors import ConfigError
from .complaints import Source, explain
from .fields import DollarsIfAny
from .folders import user_config_folder
from .overrides import lay_over
from .section import Section
from .wording import shown_path
from .yaml_file import YamlFile, read_yaml

SETTINGS_FILE = "settings.yaml"

_HEADER = "# Your own settings of cloudtrain. What may stand here: docs/config.md, or `cloudtrain settings --help`.\n"


class SettingsFile(Section):
    """`settings.yaml`, in the user's config folder."""

    never_empty = frozenset({"monthly_budget"})

    monthly_budget: DollarsIfAny = Field(
        default=None,
        description=(
            "What all machines together may cost in a calendar month (UTC), as this computer's ledger counts: what is left of "
            "it caps the next machine. Left out: no cap."
        ),
        examples=["50.00"],
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person has set for everything.

    Attributes:
        monthly_budget: USD per calendar month (UTC), or None for no cap.
    """

    monthly_budget: float | None = None


def settings_file() -> Path:
    """Return where the settings stand, or would stand."""
    return user_config_folder() / SETTINGS_FILE


def load_settings() -> Settings:
    """Read the settings; without a file everything has its default.

    Raises:
        ConfigError: the file cannot be used as it is.
    """
    return _settings(_read(settings_file()), {})


def save_monthly_budget(amount: str | None) -> Settings:
    """Write the monthly cap as a person typed it, or take it out (None); everything else in the file stays.

    Raises:
        ConfigError: the amount or the file cannot be used as it is, or the file cannot be written.
    """
    path = settings_file()
    file = _read(path)
    # A file with a mistake in it is for the person to look at, not for us to write over.
    current = _settings(file, {})
    wanted = _settings(file, {"monthly_budget": amount})
    if amount is None:
        wanted = Settings()
    if wanted == current:
        return wanted
    line = "" if wanted.monthly_budget is None else f"monthly_budget: {_written(wanted.monthly_budget)}\n"
    try:
        _replace(path, (_edited(path, file, line), _HEADER + line), wanted)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"it cannot be written: {reason}", "Check the folder's permissions.", file=shown_path(path)
        ) from error
    return wanted


def _read(path: Path) -> YamlFile:
    if not os.path.lexists(path):
        return YamlFile(shown_path(path), {}, {})
    return read_yaml(path)


def _settings(file: YamlFile, flags: Mapping[str, object]) -> Settings:
    data, given = lay_over(file.data, flags, SettingsFile)
    try:
        return Settings(SettingsFile.model_validate(data).monthly_budget)
    except ValidationError as error:
        raise explain(error, SettingsFile, Source(file.shown, file.lines, given)) from error


def _written(usd: float) -> str:
    return f"{usd:.2f}" if round(usd, 2) == usd else f"{usd:.9f}".rstrip("0")


def _edited(path: Path, file: YamlFile, line: str) -> str:
    """Return the file's text with this line for the cap, everything else as it was."""
    if not path.exists():
        return _HEADER + line
    lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    number = file.lines.get(("monthly_budget",))
    if number is None:
        return "".join((*lines, "" if not lines or lines[-1].endswith("\n") else "\n", line))
    comment = lines[number - 1].partition(" #")[2].rstrip()
    lines[number - 1] = f"{line.rstrip()}  #{comment}\n" if line and comment else line
    return "".join(lines)


def _replace(path: Path, texts: Sequence[str], wanted: Settings) -> None:
    """Put the first text that says what is wanted in the file's place, whole or not at all.

    A value that is spread over lines, or a file in braces, does not bear the exchange of one line: then comments are lost. A
    link stays a link: people keep their settings elsewhere.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        for text in texts:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if _says(fresh, wanted):
                break
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _says(path: Path, wanted: Settings) -> bool:
    try:
        return _settings(_read(path), {}) == wanted
    except ConfigError:
        return False
