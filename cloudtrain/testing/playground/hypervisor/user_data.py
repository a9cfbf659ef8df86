"""User data as cloud-init reads it: a `#cloud-config` document or a script in, what is to be done at boot out.

The plan is plain JSON, because it is carried out on the machine, by `inside/first_boot.py`.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..machine import MachineOrder

Plan = dict[str, Any]

_ACTED_UPON = frozenset({
    "allow_public_ssh_keys", "bootcmd", "runcmd", "ssh_authorized_keys", "ssh_deletekeys", "ssh_keys", "users", "write_files",
})  # fmt: skip
_KNOWN = frozenset({
    "apk_repos", "apt", "apt_pipelining", "apt_preserve_sources_list", "apt_reboot_if_required", "apt_sources", "apt_update",
    "apt_upgrade", "ansible", "authkey_hash", "autoinstall", "byobu_by_default", "ca-certs", "ca_certs", "chef", "chpasswd",
    "cloud_config_modules", "cloud_final_modules", "cloud_init_modules", "create_hostname_file", "datasource",
    "datasource_list", "debug", "device_aliases", "disable_ec2_metadata", "disable_root", "disable_root_opts", "disk_setup",
    "drivers", "fan", "final_message", "fqdn", "fs_setup", "groups", "growpart", "grub-dpkg", "grub_dpkg", "hostname",
    "keyboard", "landscape", "launch-index", "locale", "locale_configfile", "lxd", "manage_etc_hosts", "manage_resolv_conf",
    "mcollective", "merge_how", "merge_type", "migrate", "mount_default_fields", "mounts", "network", "no_ssh_fingerprints",
    "ntp", "output", "package_reboot_if_required", "package_update", "package_upgrade", "packages", "password", "phone_home",
    "power_state", "prefer_fqdn_over_hostname", "preserve_hostname", "puppet", "random_seed", "reporting", "resize_rootfs",
    "resolv_conf", "rh_subscription", "rsyslog", "salt_minion", "snap", "spacewalk", "ssh", "ssh_fp_console_blacklist",
    "ssh_genkeytypes", "ssh_import_id", "ssh_key_console_blacklist", "ssh_publish_hostkeys", "ssh_pwauth", "ssh_quiet_keygen",
    "swap", "system_info", "timezone", "ubuntu_advantage", "ubuntu_pro", "updates", "user", "vendor_data", "version",
    "wireguard", "yum_repo_dir", "yum_repos", "zypper",
})  # fmt: skip
_ENCODINGS = {
    "b64": ("base64",), "base64": ("base64",), "gz": ("gzip",), "gzip": ("gzip",), "gz+b64": ("base64", "gzip"),
    "gz+base64": ("base64", "gzip"), "gzip+b64": ("base64", "gzip"), "gzip+base64": ("base64", "gzip"),
    "": (), "text/plain": (),
}  # fmt: skip


def read(order: MachineOrder) -> Plan:
    """Return what cloud-init would do with an order's user data. What it could not read stands in the plan's "log"."""
    log: list[list[str]] = []
    text = _unpack(order.user_data)
    is_script = text.startswith("#!")
    config = {} if is_script else _load(text, log)
    commands = {key: _as_script(key, config.get(key), log) for key in ("bootcmd", "runcmd")}
    return {
        "id": order.id,
        "user": order.user,
        "bootcmd": commands["bootcmd"],
        "runcmd": commands["runcmd"],
        "script": text if is_script else None,
        "files": _files(config.get("write_files"), log),
        "users": _users(config, order, log),
        "delete_keys": bool(config.get("ssh_deletekeys", True)),
        "host_keys": {str(name): str(key) for name, key in _mapping(config, "ssh_keys", log).items()},
        "log": log,
    }


def _unpack(content: bytes) -> str:
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return content.decode("utf-8", "replace")


def _load(text: str, log: list[list[str]]) -> dict[str, Any]:
    if not text.strip():
        return {}
    if not text.startswith("#cloud-config"):
        log.append(["WARNING", f"Unhandled non-multipart (text/x-not-multipart) userdata: {text[:24]!r}..."])
        return {}
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        log.append(["WARNING", f"Failed loading yaml blob. Invalid format: {' '.join(str(error).split())}"])
        return {}
    if not isinstance(config, dict):
        log.append(["WARNING", f"Failed loading yaml blob. Yaml load allows (dict,) root types, got {type(config).__name__}"])
        return {}
    for key in config:
        if key in _KNOWN - _ACTED_UPON:
            log.append(["INFO", f"{key}: known to cloud-init, not acted upon by this pretend machine"])
        elif key not in _ACTED_UPON:
            log.append(["WARNING", f"Invalid cloud-config provided: Additional properties are not allowed ({key!r})"])
    return config


def _as_script(key: str, commands: Any, log: list[list[str]]) -> str | None:
    """Return the shell script that cloud-init makes of a list: texts as they are, lists with each word quoted."""
    if not commands:
        return None
    if not isinstance(commands, list):
        log.append(["ERROR", f"{key}: Input to shellify was type '{type(commands).__name__}'. Expected list or tuple"])
        return None
    lines = []
    for command in commands:
        if isinstance(command, list):
            lines.append(" ".join("'" + str(word).replace("'", "'\\''") + "'" for word in command))
        elif isinstance(command, str):
            lines.append(command)
        elif command is not None:
            log.append(["ERROR", f"{key}: Unable to shellify type '{type(command).__name__}'. Expected list, string, tuple"])
            return None
    return "#!/bin/sh\n" + "".join(f"{line}\n" for line in lines)


def _files(entries: Any, log: list[list[str]]) -> list[dict[str, Any]]:
    files = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [], 1):
        if not isinstance(entry, dict) or not entry.get("path"):
            log.append(["WARNING", f"No path provided to write for entry {number} in module write_files"])
            continue
        content, trouble = _content(entry, log)
        files.append({
            "path": str(entry["path"]),
            "content": base64.b64encode(content).decode(),
            "trouble": trouble,
            "mode": _mode(entry.get("permissions"), log),
            "owner": str(entry.get("owner") or "root:root"),
            "append": bool(entry.get("append")),
            "defer": bool(entry.get("defer")),
        })  # fmt: skip
    return files


def _content(entry: Mapping[str, Any], log: list[list[str]]) -> tuple[bytes, str]:
    """Return a file's content, and what is wrong with it when it cannot be decoded: then cloud-init's module fails there."""
    content = entry.get("content") or b""
    decoded = content if isinstance(content, bytes) else str(content).encode()
    encoding = str(entry.get("encoding") or "").lower().strip()
    if encoding not in _ENCODINGS:
        log.append(["WARNING", f"Unknown encoding type {encoding}, assuming text/plain"])
    try:
        for step in _ENCODINGS.get(encoding, ()):
            decoded = base64.b64decode(decoded) if step == "base64" else gzip.decompress(decoded)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        return b"", f"{type(error).__name__}: {error}"
    return decoded, ""


def _mode(permissions: Any, log: list[list[str]]) -> int:
    """Return a file's mode. Text is octal; a number is the mode itself, as YAML read it (`0644` is octal, `644` is not)."""
    if permissions is None:
        return 0o644
    try:
        return int(permissions) if isinstance(permissions, int | float) else int(str(permissions), 8)
    except ValueError:
        log.append(["WARNING", f"Undecodable permissions {permissions!r}, returning default 644"])
        return 0o644


def _users(config: Mapping[str, Any], order: MachineOrder, log: list[list[str]]) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = []
    wanted = config.get("users", ["default"])
    for entry in wanted if isinstance(wanted, list) else []:
        if entry == "default":
            users.insert(0, {"name": order.user, "sudo": True, "keys": _default_keys(config, order, log)})
        elif isinstance(entry, dict) and entry.get("name"):
            keys = _texts(entry.get("ssh_authorized_keys") or entry.get("ssh-authorized-keys"))
            users.append({"name": str(entry["name"]), "sudo": bool(entry.get("sudo")), "keys": keys})
        elif isinstance(entry, str):
            users.append({"name": entry, "sudo": False, "keys": []})
    # Google's guest agent, which is no part of cloud-init, makes the users that `ssh-keys` names.
    for name, keys in _keys_of_the_cloud(order).items():
        if name not in (order.user, *(user["name"] for user in users)):
            users.append({"name": name, "sudo": True, "keys": keys})
    return users


def _default_keys(config: Mapping[str, Any], order: MachineOrder, log: list[list[str]]) -> list[str]:
    given = config.get("ssh_authorized_keys")
    if given is not None and not isinstance(given, list):
        log.append(["WARNING", "Invalid cloud-config provided: ssh_authorized_keys is not of type 'array'"])
    of_the_cloud = _keys_of_the_cloud(order).get(order.user, []) if config.get("allow_public_ssh_keys", True) else []
    return list(dict.fromkeys([*of_the_cloud, *_texts(given)]))


def _keys_of_the_cloud(order: MachineOrder) -> dict[str, list[str]]:
    """Return who may log in by the cloud's word: EC2's key pairs for the image's user, others' for whom they name."""
    named = [path for path in order.metadata if path.startswith("meta-data/public-keys/") and path.endswith("/openssh-key")]
    keys = {order.user: [order.metadata[path].strip() for path in sorted(named)]}
    sources = ["instance/attributes/ssh-keys"]
    if order.metadata.get("instance/attributes/block-project-ssh-keys", "").upper() != "TRUE":
        sources.append("project/attributes/ssh-keys")
    for entry in _azure_keys(order):
        keys.setdefault(entry["path"].split("/")[2], []).append(entry["keyData"].strip())
    for line in (line for path in sources for line in order.metadata.get(path, "").splitlines()):
        user, colon, key = line.strip().partition(":")
        if colon and user and key:
            keys.setdefault(user, []).append(key.strip())
    return keys


def _azure_keys(order: MachineOrder) -> list[dict[str, str]]:
    instance = json.loads(order.metadata["instance"]) if order.metadata_service == "azure" else {}
    keys: list[dict[str, str]] = instance.get("compute", {}).get("publicKeys", [])
    return keys


def _texts(value: Any) -> Sequence[str]:
    return [str(item).strip() for item in value] if isinstance(value, list) else []


def _mapping(config: Mapping[str, Any], key: str, log: list[list[str]]) -> Mapping[Any, Any]:
    value = config.get(key) or {}
    if isinstance(value, dict):
        return value
    log.append(["WARNING", f"Invalid cloud-config provided: {key} is not of type 'object'"])
    return {}
