"""The job: `cloudtrain.yaml` and the flags that override it, as a `JobSpec`."""

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from ..model.errors import ConfigError
from ..model.spec import Budget, JobSpec, Resources
from .complaints import Source, explain
from .overrides import lay_over
from .paths import JOB_FILE
from .schema import JobFile
from .wording import shown_path
from .yaml_file import YamlFile, read_yaml


def load_job(folder: Path, *, command: str | None = None, overrides: Mapping[str, object] | None = None) -> JobSpec:
    """Read the job in a folder. `command` and `overrides` (by dotted name) come from flags, and beat the file.

    Without a file the command alone makes a job.

    Raises:
        ConfigError: the file or a flag cannot be used as it is, or there is neither a file nor a command.
    """
    folder = _existing(folder)
    file = _read(folder, command)
    typed = dict(overrides or {}) | ({} if command is None else {"command": command})
    data, flags = lay_over(file.data, typed, JobFile)
    try:
        job = JobFile.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        raise explain(error, JobFile, Source(file.shown, file.lines, flags)) from error
    return _spec(job, folder)


def _existing(folder: Path) -> Path:
    try:
        resolved = folder.resolve(strict=True)
        is_folder = resolved.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise ConfigError("there is no such folder", "Name the job's folder.", file=shown_path(folder)) from error
    if not is_folder:
        raise ConfigError("expected a folder, found a file", "Name the job's folder.", file=shown_path(folder))
    return resolved


def _read(folder: Path, command: str | None) -> YamlFile:
    path = folder / JOB_FILE
    if os.path.lexists(path):
        return read_yaml(path)
    if command is None:
        misnamed = (folder / "cloudtrain.yml").exists()
        rename = f"Rename cloudtrain.yml to {JOB_FILE}. Or make" if misnamed else "Make"
        hint = f"{rename} a job from a template: `cloudtrain init`. Or name a command: `cloudtrain train NAME -- COMMAND`."
        raise ConfigError(f"there is no {JOB_FILE} here", hint, file=shown_path(path))
    return YamlFile(shown_path(path), {}, {})


def _spec(job: JobFile, folder: Path) -> JobSpec:
    return JobSpec(
        name=job.name or _slug(folder.name),
        folder=folder,
        command=job.command,
        framework=job.framework,
        inputs=tuple(name for name in job.inputs if "://" not in name),
        stored_inputs=tuple(name for name in job.inputs if "://" in name),
        outputs=job.outputs,
        requirements=job.requirements,
        resources=Resources(**job.resources.model_dump()),
        budget=Budget(usd=job.budget, max_lifetime_s=job.max_lifetime),
        idle_timeout_s=job.idle_timeout,
        stall_timeout_s=job.stall_timeout,
        resume=job.resume,
        checkpoints=job.checkpoints or "",
        on_finish=job.on_finish,
        env=MappingProxyType(dict(job.env)),
        secrets=job.secrets,
    )


def _slug(folder_name: str) -> str:
    """Return a folder's name as a job's: accents dropped, everything strange a dash."""
    ascii_only = unicodedata.normalize("NFKD", folder_name).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_only).strip("-._")[:40].rstrip("-._") or "job"
