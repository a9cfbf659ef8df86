"""Make ready: what a rented machine does at its first boot is over, and its GPUs answer."""

from ..model.clock import Clock
from ..model.errors import HostUnreachableError, SetupError
from ..model.event import Note, Tell
from ..remote.base import Completed, Remote

BOOT_TIMEOUT_S = 900.0
"""How long the first boot's set-up may take once the machine can be spoken to, in seconds."""

DRIVER_TIMEOUT_S = 300.0
"""How long the GPU driver may take to answer after that, in seconds."""

_PAUSE_S = 5.0
_CLOUD_INIT_FAILED = 1
_CLOUD_INIT_HAD_TROUBLE = 2

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
    give_up_at = clock.monotonic() + DRIVER_TIMEOUT_S
    while True:
        listed = remote.run(("sh", "-c", "nvidia-smi -L 2>&1"), timeout=60.0)
        found = sum(line.startswith(b"GPU ") for line in listed.stdout.splitlines()) if listed.exit_code == 0 else 0
        if found >= gpus:
            return
        if clock.monotonic() >= give_up_at:
            said = listed.stdout.decode("utf-8", "replace").strip().splitlines()
            raise SetupError(
                f"{gpus} GPUs are paid for and the machine shows {found}: {said[0] if said else 'nvidia-smi says nothing'}",
                "The image's driver may not fit the GPU. Choose another image or machine: cloudtrain configs",
            )
        clock.sleep(_PAUSE_S)
