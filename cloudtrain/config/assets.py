"""The machine configs and job templates that travel with cloudtrain: in the installed package, or in a checkout."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..model.errors import ConfigError, NotFoundError
from .wording import did_you_mean, quoted, shown_path

_PACKAGE = Path(__file__).resolve().parents[1]
_LEFT_OUT = frozenset({"__pycache__", "runs", "results", ".ipynb_checkpoints"})


def asset_folder(kind: str) -> Path:
    """Return the folder of "configs" or "templates".

    Raises:
        ConfigError: this installation has no such folder.
    """
    packaged = _PACKAGE / "_assets" / kind
    if packaged.is_dir():
        return packaged
    root = _PACKAGE.parent
    # Beside an installed package stand other people's packages: only a checkout's own folder will do.
    if (root / "pyproject.toml").is_file() and (root / kind).is_dir():
        return root / kind
    raise ConfigError(
        f"This installation of cloudtrain has no {kind}", "Install it again: `pip install --force-reinstall cloudtrain`"
    )


def template_names() -> tuple[str, ...]:
    """Return the names of the job templates, sorted.

    Raises:
        ConfigError: this installation has no templates.
    """
    folders = (entry for entry in asset_folder("templates").iterdir() if entry.is_dir())
    return tuple(sorted(folder.name for folder in folders if folder.name[0] not in "._"))


def template_summary(name: str) -> str:
    """Return the first line of prose in a template's README.md, or "" when it has none.

    Raises:
        NotFoundError: there is no such template.
    """
    readme = _template(name) / "README.md"
    if not readme.is_file():
        return ""
    fenced = False
    for line in readme.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and _is_prose(line.strip()):
            return line.strip()
    return ""


def copy_template(name: str, destination: Path) -> list[Path]:
    """Copy a template's files into a folder, made when absent; return the files written, sorted.

    Nothing is written unless everything can be: no existing file is ever replaced.

    Raises:
        NotFoundError: there is no such template.
        ConfigError: a file is in the way, or the folder cannot be written.
    """
    source = _template(name)
    pairs = [(file, destination / file.relative_to(source)) for file in sorted(_files(source))]
    _refuse_to_overwrite([target for _, target in pairs], destination)
    written: list[Path] = []
    try:
        for file, target in pairs:
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(file, target, written)
    except OSError as exc:
        for target in written:
            target.unlink(missing_ok=True)
        raise ConfigError(
            f"the template could not be copied: {exc.strerror or exc}",
            "Nothing was kept; choose another folder, or make room in this one.",
            file=shown_path(destination),
        ) from exc
    return written


def _template(name: str) -> Path:
    names = template_names()
    if name not in names:
        raise NotFoundError(
            f"There is no template named {quoted(name)}",
            f"{did_you_mean(name, names)}There are: {', '.join(names) or 'none'}",
        )
    return asset_folder("templates") / name


def _is_prose(line: str) -> bool:
    return bool(line) and (line[0].isalnum() or line[0] in "`*_\"'“(")


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in _LEFT_OUT or entry.suffix == ".pyc" or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry


def _refuse_to_overwrite(targets: list[Path], destination: Path) -> None:
    folders = {parent for target in targets for parent in target.parents if parent.is_relative_to(destination)}
    blocked = [target for target in targets if os.path.lexists(target)]
    blocked += [folder for folder in sorted(folders) if os.path.lexists(folder) and not folder.is_dir()]
    if not blocked:
        return
    more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
    raise ConfigError(
        f"a file is in the way{more}; nothing was written",
        "Choose an empty folder, or move the file away.",
        file=shown_path(blocked[0]),
    )


def _copy(file: Path, target: Path, written: list[Path]) -> None:
    # "x" refuses a file that appeared since we looked.
    with target.open("xb") as copy:
        written.append(target)
        copy.write(file.read_bytes())
    if file.stat().st_mode & 0o100:
        mode = target.stat().st_mode
        target.chmod(mode | (mode & 0o444) >> 2)  # executable for those who may read it
