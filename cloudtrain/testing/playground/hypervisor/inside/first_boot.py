"""Carry out a boot plan as cloud-init does: `early` before the SSH server starts, `late` after.

Early: bootcmd (every boot), write_files, users, SSH keys; late: deferred files, runcmd or the script (first boot only). A
module that fails makes the status "error" and does not keep the next from running; a semaphore on the disk says that it ran.
"""

import base64
import contextlib
import glob
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

ROOT = os.environ.get("CLOUDTRAIN_GUEST_ROOT", "")
_RUN = ROOT + "/run/cloud-init"
_LOG = ROOT + "/var/log/cloud-init.log"
_OUTPUT = ROOT + "/var/log/cloud-init-output.log"
_SUDO_GID = 27
_FIRST_UID = 1000


class Boot:
    """One boot's worth of cloud-init."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._state = _read_state()
        self._instance = f"{ROOT}/var/lib/cloud/instances/{plan['id']}"

    def early(self) -> None:
        """Do what comes before anybody may log in."""
        for folder in (f"{self._instance}/sem", f"{self._instance}/scripts", f"{ROOT}/var/lib/cloud/instance"):
            with contextlib.suppress(OSError):  # a full disk ends no boot
                os.makedirs(folder, exist_ok=True)
        self._log("INFO", f"Cloud-init running 'init' for instance {self._plan['id']}")
        for level, text in self._plan["log"]:
            self._log(level, text)
        self._module("bootcmd", self._bootcmd, is_once=False)
        self._module("write_files", lambda: self._write_files(is_deferred=False))
        self._module("users_groups", self._make_users)
        self._module("ssh", self._install_keys)
        self._module("runcmd", self._keep_scripts)
        _write_state(self._state)

    def late(self) -> None:
        """Do what may take long."""
        self._module("write_files_deferred", lambda: self._write_files(is_deferred=True))
        self._module("scripts_user", self._run_scripts)
        self._log("INFO", "Cloud-init finished")
        _write_state(self._state)
        _write(f"{_RUN}/result.json", json.dumps({"v1": self._state}).encode(), 0o644)

    def _module(self, name: str, work: Callable[[], None], *, is_once: bool = True) -> None:
        try:
            if is_once and not self._claim(f"{self._instance}/sem/config_{name}"):
                self._log("DEBUG", f"config-{name} already ran (freq=once-per-instance)")
                return
            work()
        except Exception as error:
            self._state["errors"].append(f"('{name}', {error!r})")
            self._log("WARNING", f"Running module {name} failed: {error!r}", counts=False)

    def _claim(self, semaphore: str) -> bool:
        """Make a module's semaphore. It stays when the module fails or the machine ends meanwhile, as cloud-init's does."""
        try:
            os.close(os.open(semaphore, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            return False
        return True

    def _bootcmd(self) -> None:
        script = self._plan["bootcmd"]
        if script is not None:
            path = f"{_RUN}/bootcmd.sh"
            _write(path, script.encode(), 0o700)
            code = self._run(["/bin/sh", path])
            if code:
                raise RuntimeError(f"Unexpected error while running command. Command: ['/bin/sh', '{path}'] Exit code: {code}")

    def _write_files(self, *, is_deferred: bool) -> None:
        for file in self._plan["files"]:
            if file["defer"] != is_deferred:
                continue
            if file["trouble"]:
                raise ValueError(f"{file['path']}: {file['trouble']}")
            path = ROOT + os.path.abspath(file["path"])
            before = b""
            if file["append"] and os.path.exists(path):
                with open(path, "rb") as old:
                    before = old.read()
            _write(path, before + base64.b64decode(file["content"]), file["mode"])
            if not ROOT:
                user, _, group = file["owner"].partition(":")
                shutil.chown(path, user, group or user)

    def _make_users(self) -> None:
        for user in self._plan["users"]:
            home = f"{ROOT}/home/{user['name']}"
            if not ROOT:
                _make_account(user["name"], home, user["sudo"])
            os.makedirs(f"{home}/.ssh", exist_ok=True)
            _write(f"{home}/.ssh/authorized_keys", "".join(f"{key}\n" for key in user["keys"]).encode(), 0o600)
            os.chmod(f"{home}/.ssh", 0o700)
            if not ROOT:
                for path in (home, f"{home}/.ssh", f"{home}/.ssh/authorized_keys"):
                    shutil.chown(path, user["name"], user["name"])

    def _install_keys(self) -> None:
        folder = f"{ROOT}/etc/ssh"
        if self._plan["delete_keys"]:
            for path in glob.glob(f"{folder}/ssh_host_*key*"):
                os.unlink(path)
        for name, key in self._plan["host_keys"].items():
            kind, _, half = name.partition("_")
            suffix = {"private": "", "public": ".pub", "certificate": "-cert.pub"}.get(half)
            if suffix is not None:
                _write(f"{folder}/ssh_host_{kind}_key{suffix}", key.encode(), 0o600)
        if not self._plan["host_keys"]:
            path = f"{folder}/ssh_host_ed25519_key"
            # The other kinds, which a real machine makes too, take seconds and prove nothing more.
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "root@machine", "-f", path], check=True)

    def _keep_scripts(self) -> None:
        for name, text in (("runcmd", self._plan["runcmd"]), ("part-001", self._plan["script"])):
            if text is not None:
                _write(f"{self._instance}/scripts/{name}", text.encode(), 0o700)

    def _run_scripts(self) -> None:
        scripts = sorted(glob.glob(f"{self._instance}/scripts/*"))
        failed = [os.path.basename(script) for script in scripts if self._run([script])]
        if failed:
            raise RuntimeError(f"Runparts: {len(failed)} failures ({', '.join(failed)}) in {len(scripts)} attempted commands")

    def _run(self, argv: list[str]) -> int:
        """Run a command as root. What it says goes into the output log, and onto the console when it ended."""
        env = {**os.environ, "INSTANCE_ID": self._plan["id"]}
        try:
            with open(_OUTPUT, "ab") as output:
                start = output.tell()
                code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env).returncode
            with open(_OUTPUT, "rb") as said:
                said.seek(start)
                sys.stdout.buffer.write(said.read())
                sys.stdout.flush()
        except OSError as error:
            self._log("WARNING", f"Failed to run {argv}: {error}")
            return 127
        return code

    def _log(self, level: str, text: str, *, counts: bool = True) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')},000 - cloud-init[{level}]: {text}\n"
        print(line, end="", flush=True)
        if level in ("WARNING", "ERROR") and counts:
            self._state["warnings"].append(text)
        with contextlib.suppress(OSError), open(_LOG, "a") as file:  # a full disk ends no boot
            file.write(line)


def _read_state() -> dict[str, list[str]]:
    try:
        with open(f"{_RUN}/status.json") as file:
            state: dict[str, list[str]] = json.load(file)
            return state
    except FileNotFoundError:
        return {"errors": [], "warnings": []}


def _write_state(state: dict[str, list[str]]) -> None:
    _write(f"{_RUN}/status.json", json.dumps(state).encode(), 0o644)


def _write(path: str, content: bytes, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)


def _make_account(name: str, home: str, may_sudo: bool) -> None:
    """Add a user who can log in with a key and with nothing else; one that is there stays as it is."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    if any(entry.pw_name == name for entry in pwd.getpwall()):
        return
    uid = next(number for number in range(_FIRST_UID, 60000) if number not in taken)
    _append("/etc/passwd", f"{name}:x:{uid}:{uid}::{home}:/bin/bash\n")
    _append("/etc/shadow", f"{name}:*:19000:0:99999:7:::\n")
    _append("/etc/group", f"{name}:x:{uid}:\n")
    if may_sudo:
        with open("/etc/group") as file:
            lines = file.read().splitlines()
        joined = [_join(line, name) if line.split(":")[2:3] == [str(_SUDO_GID)] else line for line in lines]
        _write("/etc/group", "".join(f"{line}\n" for line in joined).encode(), 0o644)
    os.makedirs(home, mode=0o750, exist_ok=True)


def _append(path: str, line: str) -> None:
    with open(path, "a") as file:
        file.write(line)


def _join(group: str, name: str) -> str:
    return group + ("" if group.endswith(":") else ",") + name


if __name__ == "__main__":
    with open(f"{ROOT}/run/playground/plan.json") as given:
        boot = Boot(json.load(given))
    {"early": boot.early, "late": boot.late}[sys.argv[1]]()
