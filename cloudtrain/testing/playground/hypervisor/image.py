"""The image every pretend machine boots from: the tools that answer there as on a rented machine, and the accounts.

`sudo` on a machine with namespaces: the login user is a real user without rights, and `sudo` is a shell script around a copy
of `setpriv` that is setuid root, lies on a tmpfs that only this machine's mount namespace has, and may be executed by the group
"sudo" alone. So a forgotten `sudo` fails here as it does on a rented machine. On a loopback machine there is one user, and
`sudo` merely goes on with root's HOME.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..machine import MachineOrder

LIBRARY = "/usr/lib/playground"
"""Where the programs of `inside/` lie on a machine."""
RUN = "/run/playground"
"""Where a machine finds what holds for this boot alone: the plan, the doors, the GPUs."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_INSIDE = Path(__file__).parent / "inside"
_PROGRAMS = ("first_boot", "cloud_init", "power", "nvidia_smi")
_POWER_TOOLS = ("shutdown", "poweroff", "halt", "reboot", "init")
_SSHD_CONFIG = f"""\
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
# Asks on each login, so that /run/nologin refuses whoever comes, and no line that is there already, as pam_nologin does.
AuthorizedKeysFile none
AuthorizedKeysCommand {LIBRARY}/authorized_keys %h
AuthorizedKeysCommandUser root
PrintMotd no
AcceptEnv LANG LC_*
SetEnv PATH={PATH}@ENVIRONMENT@
Subsystem sftp internal-sftp
"""
_AUTHORIZED_KEYS = """\
#!/bin/sh
[ -e /run/nologin ] || exec cat "$1/.ssh/authorized_keys"
"""
_SUDO = """\
#!/bin/sh
user=root keep= shell=
while [ $# -gt 0 ]; do
  case $1 in
    -u | --user) user=$2; shift 2 ;;
    --user=*) user=${1#*=}; shift ;;
    -g | -p | -C | -D | -h | -T) shift 2 ;;
    -i | --login | -s | --shell) shell=1; shift ;;
    -v | -k | -K) [ $# -gt 1 ] || exit 0; shift ;;
    --) shift; break ;;
    --preserve-env*) keep=1; shift ;;
    --*) shift ;;
    -*E*) keep=1; shift ;;
    -*) shift ;;
    *) break ;;
  esac
done
case $user in '' | *[!a-zA-Z0-9._-]*) echo "sudo: unknown user $user" >&2; exit 1 ;; esac
@HOME@
if [ $# -eq 0 ]; then
  [ -n "$shell" ] || { echo "usage: sudo [-n] [-E] [-H] [-i] [-u user] [VAR=value] [command]" >&2; exit 1; }
  set -- "${SHELL:-/bin/sh}"
elif [ -n "$shell" ]; then
  set -- /bin/sh -c '"$@"' sh "$@"
fi
set -- HOME="$home" USER="$user" LOGNAME="$user" "SUDO_USER=$(id -un)" "SUDO_UID=$(id -u)" "SUDO_GID=$(id -g)" \\
  ${TERM:+"TERM=$TERM"} "$@"
@BECOME@
"""
_SUDO_FOR_REAL = {
    "@HOME@": """eval "home=~$user"\ncase $home in '~'*) echo "sudo: unknown user $user" >&2; exit 1 ;; esac""",
    "@BECOME@": f"""\
if [ -z "$keep" ]; then
  # As PAM does it; no value has a space.
  set -- -i PATH={PATH} SHELL=/bin/sh ${{LANG:+"LANG=$LANG"}} $(cat /etc/environment) "$@"
fi
exec {RUN}/become --reuid="$user" --regid="$(id -g "$user")" --init-groups -- env "$@\"""",
}
_SUDO_IN_NAME = {
    "@HOME@": """[ "$user" = root ] && home=$CLOUDTRAIN_GUEST_ROOT/root || home=$CLOUDTRAIN_GUEST_ROOT/home/$user""",
    "@BECOME@": 'exec env "$@"',
}


@dataclass(frozen=True, slots=True)
class MachineFile:
    """A file as an image has it."""

    path: str
    text: str
    mode: int = 0o755


def base_python() -> Path:
    """Return this computer's Python outside any virtual environment: the one that the machines have, too."""
    return Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))


def tools(root: str, *, has_gpus: bool) -> list[MachineFile]:
    """Return the programs and what stands before them on the PATH; `root` is where the machine's `/` lies, "" for there."""
    library = [MachineFile(f"{LIBRARY}/{name}.py", (_INSIDE / f"{name}.py").read_text(), 0o644) for name in _PROGRAMS]
    starters = [_starter(root, f"/usr/sbin/{tool}", "power", tool) for tool in _POWER_TOOLS]
    starters += [
        _starter(root, "/usr/bin/systemctl", "power", "systemctl"),
        _starter(root, "/usr/bin/cloud-init", "cloud_init"),
    ]
    if has_gpus:
        starters.append(_starter(root, "/usr/bin/nvidia-smi", "nvidia_smi"))
    python = MachineFile("/usr/local/bin/python3", f'#!/bin/sh\nexec {base_python()} "$@"\n')
    return [*library, *starters, *([python] if root else [])]


def system_files(hostname: str, environment: Mapping[str, str]) -> list[MachineFile]:
    """Return what a machine with namespaces has in /etc instead of this computer's own, and its `sudo`."""
    said = [f"{name}={value}" for name, value in environment.items()]
    return [
        MachineFile("/etc/environment", "".join(f"{line}\n" for line in said), 0o644),
        *_accounts(),
        MachineFile("/etc/hostname", f"{hostname}\n", 0o644),
        MachineFile("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n", 0o644),
        MachineFile("/etc/resolv.conf", "", 0o644),
        MachineFile("/etc/ssh/sshd_config", _SSHD_CONFIG.replace("@ENVIRONMENT@", "".join(f" {one}" for one in said)), 0o644),
        MachineFile(f"{LIBRARY}/authorized_keys", _AUTHORIZED_KEYS),
        sudo(is_for_real=True),
    ]


def gpus(order: MachineOrder) -> MachineFile:
    """Return what `nvidia-smi` on the machine shows."""
    made = {
        "count": order.gpu_count,
        "name": order.gpu,
        "memory_mib": order.gpu_memory_mib,
        "compute_capability": order.compute_capability,
    }
    return MachineFile(f"{RUN}/gpus.json", json.dumps(made), 0o644)


def sudo(*, is_for_real: bool) -> MachineFile:
    """Return the `sudo` of a machine whose users are real, or of one that has one user alone."""
    text = _SUDO
    for place, words in (_SUDO_FOR_REAL if is_for_real else _SUDO_IN_NAME).items():
        text = text.replace(place, words)
    return MachineFile("/usr/bin/sudo", text)


def _starter(root: str, path: str, program: str, *arguments: str) -> MachineFile:
    words = " ".join((f'"{root}{LIBRARY}/{program}.py"', *arguments))
    return MachineFile(path, f'#!/bin/sh\nexec {base_python()} -E -s -S -B {words} "$@"\n')


def _accounts() -> list[MachineFile]:
    """Return this computer's system accounts without a password among them; people's own stay at home."""
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if _is_of_the_system(line)]
    groups = [line for line in Path("/etc/group").read_text().splitlines() if _is_of_the_system(line)]
    groups = [":".join([*line.split(":")[:3], ""]) for line in groups if line.split(":")[2] != "27"]
    return [
        MachineFile("/etc/passwd", "".join(f"{line}\n" for line in users), 0o644),
        MachineFile("/etc/shadow", "".join(f"{line.split(':')[0]}:*:19000:0:99999:7:::\n" for line in users), 0o640),
        MachineFile("/etc/group", "".join(f"{line}\n" for line in [*groups, "sudo:x:27:"]), 0o644),
    ]


def _is_of_the_system(line: str) -> bool:
    fields = line.split(":")
    return len(fields) > 3 and fields[2].isdigit() and (int(fields[2]) < 1000 or int(fields[2]) == 65534)
