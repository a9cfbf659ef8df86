"""Which GPUs a framework's published packages still compute on."""

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


def why_unsupported(framework: Framework, compute_capability: str) -> str:
    """Return why this framework cannot use such a GPU, or "" when it can or nothing is known."""
    if not compute_capability or framework is Framework.NONE:
        return ""
    capability = float(compute_capability)
    if capability < MIN_COMPUTE_CAPABILITY[framework]:
        return (
            f"compute capability {compute_capability} is too old for current {framework.value}, "
            f"which needs {MIN_COMPUTE_CAPABILITY[framework]} or newer"
        )
    newest = MAX_COMPUTE_CAPABILITY.get(framework)
    if newest is not None and capability > newest:
        return f"{framework.value}'s packages hold no kernels for compute capability {compute_capability}"
    return ""
