"""NVIDIA's driver for GPUs that no image of Amazon's has one for now: Ubuntu's packages, at the machine's first boot."""

from ...model.offer import Offer

KEPLERS, LATER = "470-server", "535-server"
"""As the packages' names end. NVIDIA's branch 470 is the last for Kepler, compute capability 3.x: the K80 and the K520."""


def branch_for(offer: Offer) -> str:
    """Return the driver that Ubuntu 22.04 packages for a GPU before Turing, as its packages' names end."""
    capability = float(offer.compute_capability) if offer.compute_capability else 0.0
    is_kepler = capability < 5.0 if capability else offer.instance_type.startswith(("p2.", "g2."))
    return KEPLERS if is_kepler else LATER


def installing(branch: str) -> str:
    """Return the shell script that installs a driver where there is a GPU and none.

    The kernel's ready-made module where Ubuntu has one, else it is built there, which takes minutes more.
    """
    return _SCRIPT.replace("BRANCH", branch)


_SCRIPT = """command -v nvidia-smi >/dev/null && exit 0
grep -qs 0x10de "$CLOUDTRAIN_GUEST_ROOT"/sys/bus/pci/devices/*/vendor || exit 0
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; }
apt-get -q update
install linux-modules-nvidia-BRANCH-$(uname -r) nvidia-headless-no-dkms-BRANCH nvidia-utils-BRANCH ||
install linux-headers-$(uname -r) nvidia-headless-BRANCH nvidia-utils-BRANCH
modprobe nvidia
"""
