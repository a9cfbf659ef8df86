"""Machine configs: what a verb's NAME means, as a `MachineSpec`."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from ..model.errors import ConfigError, NotFoundError
from ..model.spec import HostSpec, MachineSpec, Resources, SshSettings, Wake
from .assets import asset_folder
from .complaints import Source, explain
from .folders import user_config_folder
from .host_fields import address_parts
from .host_schema import HostSection
from .overrides import lay_over
from .schema import MachineFile, SshSection
from .wording import did_you_mean, quoted, shown_path
from .yaml_file import read_yaml

_ENDING = ".yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def load_machine(
    name: str, *, folders: Sequence[Path] | None = None, overrides: Mapping[str, object] | None = None
) -> MachineSpec:
    """Read a machine config by name, or by the path of a `.yaml` file.

    A name is looked for in `folders`, or in `./configs`, the person's own configs and those that come with cloudtrain; the
    first one found counts. `overrides` (by dotted name) come from flags, and beat the file.

    Raises:
        ConfigError: the file or a flag cannot be used as it is, or the name looks like a path and is none.
        NotFoundError: there is no such machine config.
    """
    return _read(_find(name, folders), overrides or {})


def list_machines(*, folders: Sequence[Path] | None = None) -> tuple[list[MachineSpec], list[ConfigError]]:
    """Return the machine configs by name, and what is wrong with those that cannot be read.

    Each name counts once, from the first folder that has it: a broken file hides a good one of its name further on, as it
    does when it is loaded.
    """
    machines: list[MachineSpec] = []
    errors: list[ConfigError] = []
    try:
        files = _files(_search_path(folders), errors)
    except ConfigError as error:
        return [], [error]
    for _, path in sorted(files.items()):
        try:
            machines.append(_read(path, {}))
        except ConfigError as error:
            errors.append(error)
    return machines, errors


def machine_names(*, folders: Sequence[Path] | None = None) -> tuple[str, ...]:
    """Return the names of the machine configs, sorted, whether or not they can be used.

    Raises:
        ConfigError: this installation has no configs.
    """
    return tuple(sorted(_files(_search_path(folders), [])))


def _find(name: str, folders: Sequence[Path] | None) -> Path:
    if name.endswith(_ENDING) and os.path.lexists(name):
        return Path(name)
    if not name or any(mark in name for mark in "/\\") or name[0] in ".~-":
        raise ConfigError(
            f"{quoted(name)} is neither the name of a machine config nor the path of a {_ENDING} file",
            "See what there is: `cloudtrain configs`",
        )
    for folder in _search_path(folders):
        path = folder / f"{name}{_ENDING}"
        if os.path.lexists(path):
            return path
    known = machine_names(folders=folders)
    raise NotFoundError(
        f"There is no machine config named {quoted(name)}",
        f"{did_you_mean(name.removesuffix(_ENDING), known)}See what there is: `cloudtrain configs`",
    )


def _search_path(folders: Sequence[Path] | None) -> Iterator[Path]:
    """Yield the folders to look in. The last one is asked for last: a person's own configs work without it."""
    if folders is not None:
        yield from folders
        return
    yield Path("configs")
    yield user_config_folder() / "configs"
    yield asset_folder("configs")


def _files(folders: Iterator[Path], errors: list[ConfigError]) -> dict[str, Path]:
    """Return the config files by name, the first folder's before the others'; folders that are absent are passed over."""
    files: dict[str, Path] = {}
    for folder in folders:
        try:
            names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            reason = error.strerror or "it is not readable"
            errors.append(
                ConfigError(f"the folder cannot be read: {reason}", "Check its permissions.", file=shown_path(folder))
            )
            continue
        for name in names:
            if name.endswith(_ENDING) and not name.startswith("."):
                files.setdefault(name.removesuffix(_ENDING), folder / name)
    return files


def _read(path: Path, overrides: Mapping[str, object]) -> MachineSpec:
    name = path.name.removesuffix(_ENDING)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{quoted(name)} cannot be the name of a machine",
            "Rename the file: letters, digits, dots, dashes and underscores, a letter or digit first, at most 63.",
            file=shown_path(path),
        )
    file = read_yaml(path)
    data, flags = lay_over(file.data, overrides, MachineFile)
    try:
        machine = MachineFile.model_validate(data)
    except ValidationError as error:
        raise explain(error, MachineFile, Source(file.shown, file.lines, flags)) from error
    return _spec(machine, name, file.shown)


def _spec(machine: MachineFile, name: str, origin: str) -> MachineSpec:
    ssh = machine.ssh
    return MachineSpec(
        name=name,
        provider=machine.provider,
        description=machine.description,
        origin=origin,
        regions=machine.regions,
        instance_types=machine.instance_types,
        resources=Resources(**machine.resources.model_dump()),
        market=machine.market,
        disk_gb=machine.disk_gb,
        image=machine.image,
        network=machine.network,
        ssh=SshSettings(
            user=None if ssh.user == "auto" else ssh.user,
            port=ssh.port,
            proxy_command=ssh.proxy_command,
            options=MappingProxyType(dict(ssh.options)),
            allow_from=ssh.allow_from,
        ),
        project=machine.project,
        subscription=machine.subscription,
        endpoint_url=machine.endpoint_url,
        resource_manager_url=machine.resource_manager_url,
        authority_url=machine.authority_url,
        hosts=tuple(_host(host, ssh) for host in machine.hosts),
    )


def _host(host: HostSection, ssh: SshSection) -> HostSpec:
    """Return a machine of one's own; what its address names beats the `ssh` group, and that the person's own ssh settings."""
    user, address, port = address_parts(host.address)
    return HostSpec(
        address=address,
        port=port or (ssh.port if "port" in ssh.model_fields_set else None),
        user=user or (None if ssh.user == "auto" else ssh.user),
        host_keys=(*host.host_keys, *((host.host_key,) if host.host_key else ())),
        usd_per_hour=host.price,
        wake=Wake(**host.wake.model_dump()) if host.wake else None,
        shutdown=host.shutdown,
        proxy_command=ssh.proxy_command,
        options=MappingProxyType(dict(ssh.options)),
    )
