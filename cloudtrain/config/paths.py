"""Names of files in the job's folder: relative, inside, and there when they must be.

The checks that look at the disk need the folder, handed in as the validation context `{"folder": Path}`; without one only
the name itself is judged.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from ..model.run import OWN_FILES
from .fields import Kind, line_of_text, refuse
from .wording import found

JOB_FILE = "cloudtrain.yaml"

_S3_BUCKET = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_GOOGLE_BUCKET = r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_AZURE_CONTAINER = r"az://[a-z0-9]{3,24}/(?:\$root|[a-z0-9](?:-?[a-z0-9]){2,62})"
_FROM_HERE = "Names count from the job's folder: `data`, `src/train.py`."


def input_name(value: object, info: ValidationInfo) -> str:
    """Return the name of a file or folder that is there, or a folder of object storage as it is written."""
    if isinstance(value, str) and "://" in value:
        return storage_url(value)
    name, path = _inside(value, info)
    if path is not None and not path.exists():
        raise refuse(f"there is no {found(name)} in the job's folder", _FROM_HERE)
    return name


def storage_url(value: object) -> str:
    """Return the address of a folder or file in object storage: "s3://bucket/data/", "az://account/container/data/"."""
    text = line_of_text(value)
    if not re.fullmatch(rf"({_S3_BUCKET}|{_GOOGLE_BUCKET}|{_AZURE_CONTAINER})(/[^\x00-\x1f]*)?", text):
        raise refuse(
            f"expected an address in S3, Cloud Storage or Blob Storage, found {found(text)}",
            "Write it like this: `s3://my-bucket/data/`, `gs://my-bucket/data/` or `az://my-account/my-container/data/`.",
        )
    return text


def requirements_name(value: object, info: ValidationInfo) -> str:
    """Return the name of a file that is there."""
    name, path = _inside(value, info)
    if path is not None and not path.exists():
        raise refuse(f"there is no {found(name)} in the job's folder", "Write one, or remove this line.")
    if path is not None and not path.is_file():
        raise refuse(f"expected a file, found the folder {found(name)}", "Name the file: `requirements.txt`.")
    return name


def output_name(value: object, info: ValidationInfo) -> str:
    """Return the name of a file or folder that the job will make. What is brought back may never replace the job itself."""
    name, path = _inside(value, info)
    folder = _folder(info)
    itself = {folder.resolve(), (folder / JOB_FILE).resolve()} if folder is not None else set()
    if name in (".", JOB_FILE) or path in itself:
        raise refuse(f"{found(name)} is the job itself, not what it makes", "Name the folder the job writes to: `results`.")
    if name.casefold() in OWN_FILES:
        raise refuse(f"{found(name)} is a name that the run itself uses", "Let the job write to a folder: `results`.")
    return name


def _inside(value: object, info: ValidationInfo) -> tuple[str, Path | None]:
    """Return the name without trailing slash, and where it leads on this disk."""
    name = PurePosixPath(line_of_text(value))
    if name.is_absolute() or (name.parts and name.parts[0].startswith("~")):
        raise refuse(f"expected a name in the job's folder, found {found(value)}", _FROM_HERE)
    if ".." in name.parts:
        raise refuse(
            f"{found(value)} may lead out of the job's folder", "Write it without `..`, or move the file into the folder."
        )
    folder = _folder(info)
    return str(name), None if folder is None else _resolved(folder.resolve(), str(name))


def _resolved(folder: Path, name: str) -> Path:
    try:
        path = _follow(folder / name)
    except (OSError, RuntimeError) as error:  # Python before 3.13 says RuntimeError of links that go in a circle
        raise refuse(f"{found(name)} cannot be followed: {_reason(error)}", "Look at it with `ls -l`.") from error
    if not path.is_relative_to(folder):
        raise refuse(f"{found(name)} is a link that leads out of the job's folder", "Put the files themselves into the folder.")
    return path


def _follow(path: Path) -> Path:
    """Return a path with its links followed; what is not there yet is no error, a circle of links is."""
    try:
        return path.resolve(strict=True)
    except FileNotFoundError:
        return path.resolve()


def _reason(error: OSError | RuntimeError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "its links go in a circle"


def _folder(info: ValidationInfo) -> Path | None:
    context: Any = info.context
    return context["folder"] if context else None


InputName = Annotated[str, BeforeValidator(input_name), Kind("name")]
OutputName = Annotated[str, BeforeValidator(output_name), Kind("name")]
StorageUrl = Annotated[str, BeforeValidator(storage_url), Kind("address in object storage")]
RequirementsName = Annotated[str, BeforeValidator(requirements_name), Kind("name of a file")]
