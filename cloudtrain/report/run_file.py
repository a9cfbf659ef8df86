"""run.json: the facts of one run, in its folder, for people and programs."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model.errors import CloudtrainError, NotFoundError
from ..model.plain import to_plain
from .whole_file import write_whole

RUN_FILE = "run.json"

RECORD_KEYS = (
    "format",
    "id",
    "job",
    "command",
    "framework",
    "phase",
    "outcome",
    "reason",
    "exit_code",
    "signal",
    "machine",
    "provider",
    "instance",
    "price",
    "usd",
    "cost",
    "machine_started_at",
    "machine_ended_at",
    "created_at",
    "started_at",
    "ended_at",
    "stages",
    "environment",
    "gpu_check",
    "machine_facts",
    "cloudtrain",
    "git",
    "outputs",
    "sample",
)
"""The fields of a record, in the order they stand in the file. Any may be missing or null."""

_LARGEST_BYTES = 16 * 1024 * 1024
_HINT_ABSENT = "Name the folder of a run, as `cloudtrain train` printed it."
_HINT_DAMAGED = "The results beside it are not touched; only the run's own record is lost."


def write_run_file(folder: Path, record: Mapping[str, object]) -> Path:
    """Put the record into the folder's run.json, whole or not at all, and return the file's path.

    Numbers that JSON cannot express (NaN, infinity) become null.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = folder / RUN_FILE
    text = json.dumps(_in_order(_expressible(to_plain(record))), indent=2, ensure_ascii=False, allow_nan=False)
    # A file name from elsewhere may hold what UTF-8 cannot; that must not cost the run its record.
    write_whole(path, text.encode("utf-8", "backslashreplace") + b"\n")
    return path


def read_run_file(folder: Path) -> dict[str, Any]:
    """Return what the folder's run.json says.

    Raises:
        NotFoundError: there is none.
        CloudtrainError: it is not what was once written there.
    """
    path = folder / RUN_FILE
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError as exc:
        raise NotFoundError(f"{folder} holds no {RUN_FILE}", _HINT_ABSENT) from exc
    except OSError as exc:
        raise CloudtrainError(f"{path} cannot be read: {exc.strerror or exc}", _HINT_DAMAGED) from exc
    if len(content) > _LARGEST_BYTES:
        raise CloudtrainError(f"{path} is far too large for a run's record", _HINT_DAMAGED)
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise CloudtrainError(f"{path} is damaged: it does not hold JSON", _HINT_DAMAGED) from exc
    if not isinstance(record, dict):
        raise CloudtrainError(f"{path} is damaged: it does not hold one JSON object", _HINT_DAMAGED)
    return record


def _in_order(record: dict[str, Any]) -> dict[str, Any]:
    known = {key: record[key] for key in RECORD_KEYS if key in record}
    return known | {key: value for key, value in record.items() if key not in known}


def _expressible(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _expressible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expressible(item) for item in value]
    return value
