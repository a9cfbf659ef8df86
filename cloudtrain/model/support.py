"""Which GPUs a framework's published packages still compute on."""

from .offer import Offer
from .spec import Framework

MIN_COMPUTE_CAPABILITY: dict[Framework, float] = {
    # TensorFlow 2.21's wheel is built for sm_60 to compute_90 (read from its own build information).
    Framework.TENSORFLOW: 6.0,
    Framework.KERAS: 6.0,
    # No published build of these has computed on Kepler (3.x) for years; finer limits are found on the machine.
    Framework.PYTORCH: 5.0,
    Framework.JAX: 5.2,
}

MAX_COMPUTE_CAPABILITY: dict[Framework, float] = {
    # On Blackwell (10.x, 12.x) TensorFlow 2.21 lists the GPU and then fails with CUDA_ERROR_INVALID_PTX.
    Framework.TENSORFLOW: 9.9,
    Framework.KERAS: 9.9,
}


ARM_GPUS = frozenset({"T4G"})
"""GPUs that come only with Arm processors."""

NO_ARM_GPU_PACKAGES = frozenset({Framework.TENSORFLOW, Framework.KERAS})
"""Frameworks whose packages for Arm compute on the CPU alone."""


def why_unsupported(framework: Framework, offer: Offer) -> str:
    """Return why this framework cannot use an offer's GPU, or "" when it can or nothing is known."""
    if not offer.compute_capability or framework is Framework.NONE:
        return ""
    if offer.gpu in ARM_GPUS and framework in NO_ARM_GPU_PACKAGES:
        return f"it sits in an Arm machine, and {framework.value} publishes no GPU packages for Arm"
    capability = float(offer.compute_capability)
    if capability < MIN_COMPUTE_CAPABILITY[framework]:
        return (
            f"compute capability {offer.compute_capability} is too old for current {framework.value}, "
            f"which needs {MIN_COMPUTE_CAPABILITY[framework]} or newer"
        )
    newest = MAX_COMPUTE_CAPABILITY.get(framework)
    if newest is not None and capability > newest:
        return f"{framework.value}'s packages hold no kernels for compute capability {offer.compute_capability}"
    return ""
