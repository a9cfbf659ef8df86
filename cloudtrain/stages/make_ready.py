"""Make ready: what a rented machine does at its first boot is over, and its GPUs answer."""

from ..model.clock import Clock
from ..model.errors import HostUnreachableError, SetupError
from ..model.event import Note, Tell
from ..remote.base import Completed, Remote

BOOT_TIMEOUT_S = 900.0
"""How long the first boot's set-up may take once the machine can be spoken to, in seconds."""

DRIVER_TIMEOUT_S = 300.0
"""How long the GPU driver may take to answer after that, in seconds, while nothing installs it."""

INSTALL_TIMEOUT_S = 1800.0
"""How long a driver may take that is being installed there, in seconds: built from its source, it takes ten minutes."""

_PAUSE_S = 5.0
_CLOUD_INIT_FAILED = 1
_CLOUD_INIT_HAD_TROUBLE = 2

_IS_BEING_INSTALLED = 75
_INSTALLERS = "[N]vidiaGpuDriver|[n]vidia-installer"
"""Microsoft's extension, by its folder, and NVIDIA's own program; written so that who looks for them does not find itself."""

_LIST_GPUS = f"nvidia-smi -L 2>&1 && exit 0; pgrep -f '{_INSTALLERS}' >/dev/null && exit {_IS_BEING_INSTALLED}; exit 1"

_WAIT_FOR_CLOUD_INIT = ("sh", "-c", "command -v cloud-init >/dev/null || exit 0; exec cloud-init status --wait >/dev/null 2>&1")


def make_ready(remote: Remote, gpus: int, clock: Clock, tell: Tell) -> None:
    """Wait until the machine has set itself up and shows at least `gpus` GPUs. Asked again, it answers at once.

    Raises:
        SetupError: the set-up does not end, or the GPUs do not answer in time.
        HostUnreachableError: the line broke.
    """
    done = _first_boot(remote, clock)
    if done.exit_code in (_CLOUD_INIT_FAILED, _CLOUD_INIT_HAD_TROUBLE):
        tell(Note("The machine's first boot reports trouble; /var/log/cloud-init-output.log there says more.", "warning"))
    if gpus:
        _wait_for_gpus(remote, gpus, clock)


def _first_boot(remote: Remote, clock: Clock) -> Completed:
    began = clock.monotonic()
    try:
        return remote.run(_WAIT_FOR_CLOUD_INIT, timeout=BOOT_TIMEOUT_S)
    except HostUnreachableError as error:
        if clock.monotonic() - began < BOOT_TIMEOUT_S:
            raise
        raise SetupError(
            f"The machine's first boot has not come to its end after {BOOT_TIMEOUT_S / 60:.0f} minutes",
            "Choose another image in the machine's config, or another machine: cloudtrain configs",
        ) from error


def _wait_for_gpus(remote: Remote, gpus: int, clock: Clock) -> None:
    began = quiet_since = clock.monotonic()
    while True:
        listed = remote.run(("sh", "-c", _LIST_GPUS), timeout=60.0)
        found = sum(line.startswith(b"GPU ") for line in listed.stdout.splitlines()) if listed.exit_code == 0 else 0
        if found >= gpus:
            return
        now = clock.monotonic()
        if listed.exit_code == _IS_BEING_INSTALLED:
            quiet_since = now
        if now - quiet_since >= DRIVER_TIMEOUT_S or now - began >= INSTALL_TIMEOUT_S:
            paid = "1 GPU is" if gpus == 1 else f"{gpus} GPUs are"
            said = listed.stdout.decode("utf-8", "replace").strip().splitlines()
            raise SetupError(
                f"{paid} paid for and the machine shows {found}: {said[0] if said else 'nvidia-smi says nothing'}",
                "The image's driver may not fit the GPU. Choose another image or machine: cloudtrain configs",
            )
        clock.sleep(_PAUSE_S)
