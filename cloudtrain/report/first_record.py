"""What `run.json` says of a run from its first moment on."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..model.plain import to_plain
from ..model.run import Run
from ..model.spec import JobSpec, MachineSpec

LEDGER_KEY = "ledger"
"""Where `run.json` holds what the ledger does."""


def first_record(run: Run, job: JobSpec, machine: MachineSpec) -> dict[str, Any]:
    """Return what is known of a run before anything happened, as `run.json` has it."""
    return {
        "format": 1,
        "id": run.id,
        "job": job.name,
        "command": job.command,
        "framework": job.framework.value,
        "machine": machine.name,
        "provider": machine.provider,
        "created_at": to_plain(run.created_at),
        "cloudtrain": __version__,
        "git": _git_state(job.folder),
        "continues": run.continues,
        "sample": float(job.env["CLOUDTRAIN_SAMPLE"]) if "CLOUDTRAIN_SAMPLE" in job.env else None,
    }


def ledger_part(run: Run, job: JobSpec, machine: MachineSpec) -> dict[str, Any]:
    """Return what the ledger holds of a run, for the day when the ledger is lost.

    The values of the job's environment are left out: results are handed on, and those are nobody else's business.
    """
    return {"run": to_plain(run), "job": to_plain(replace(job, env=dict.fromkeys(job.env, ""))), "machine": to_plain(machine)}


def _git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit the job's folder stands at, or None when it is no git checkout or git is not installed."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
