"""The flags of `train` and `plan` that replace what `cloudtrain.yaml` and the machine config say."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..api import load
from ..model.errors import ConfigError
from ..model.spec import Framework, JobSpec, MachineSpec, Market, OnFinish
from .names import machine_meant, open_ledger

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class JobFlags:
    """What was typed; None is what was not."""

    budget: float | None = None
    max_lifetime: str | None = None
    idle_timeout: str | None = None
    on_finish: OnFinish | None = None
    framework: Framework | None = None
    gpus: int | None = None
    market: Market | None = None
    env: Sequence[str] = ()
    sample: float | None = None

    def load(self, name: str | None, folder: Path, command: Sequence[str]) -> tuple[JobSpec, MachineSpec]:
        """Read the job in the folder and the machine config that is meant, with these flags in place of their settings.

        Raises:
            ConfigError, NotFoundError: a file or a flag cannot be used.
        """
        overrides = self.overrides()
        if name is None:
            with open_ledger() as ledger:
                name = machine_meant(None, ledger)
        job, machine = load(name, folder, command=shell_text(command), overrides=overrides)
        return job, machine if self.market is None else replace(machine, market=self.market)

    def overrides(self) -> dict[str, object]:
        """Return the flags by the dotted names of the settings they replace.

        Raises:
            ConfigError: --env or --sample cannot be read.
        """
        typed: dict[str, object | None] = {
            "budget": self.budget,
            "max_lifetime": self.max_lifetime,
            "idle_timeout": self.idle_timeout,
            "on_finish": self.on_finish and self.on_finish.value,
            "framework": self.framework and self.framework.value,
            "resources.gpus": self.gpus,
        }
        settings = {name: value for name, value in typed.items() if value is not None}
        return settings | _environment(self.env) | _sample(self.sample)


def shell_text(words: Sequence[str]) -> str | None:
    """Return the words after `--` as the text a shell runs: one word is such a text already, several are quoted."""
    if not words:
        return None
    return words[0] if len(words) == 1 else shlex.join(words)


def _environment(pairs: Sequence[str]) -> dict[str, object]:
    settings: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise ConfigError(f"--env {pair}: expected NAME=VALUE", "Write it like this: --env EPOCHS=5")
        settings[f"env.{name}"] = value
    return settings


def _sample(fraction: float | None) -> dict[str, object]:
    if fraction is None:
        return {}
    if not 0 < fraction <= 1:
        raise ConfigError(
            f"--sample {fraction:g}: expected a fraction above 0 and at most 1", "A tenth of the data: --sample 0.1"
        )
    return {"env.CLOUDTRAIN_SAMPLE": f"{fraction:g}"}
