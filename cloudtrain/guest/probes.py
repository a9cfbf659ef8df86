"""How each framework is asked which GPUs it sees, and made to compute on one of them."""

from __future__ import annotations

import importlib.util
from typing import Any, Callable, Protocol


class Probe(Protocol):
    """One framework, imported.

    Attributes:
        library: its name and version.
        kind: what it is asked for: "GPU" or "TPU".
    """

    library: str
    kind: str

    def count(self) -> int:
        """Return how many GPUs the framework sees."""
        ...

    def is_built_for_it(self) -> bool:
        """Say whether this build of the framework could use an NVIDIA GPU, or a TPU, at all."""
        ...

    def describe(self, index: int) -> dict[str, str]:
        """Return "device" and "compute_capability" of a GPU, as far as the framework tells."""
        ...

    def sum_of_product(self, index: int, side: int) -> tuple[bool, float]:
        """Multiply two square matrices of ones on a GPU; say whether the product lies on a GPU, and its sum."""
        ...


class TensorFlowProbe:
    """TensorFlow, with its habit of falling back to the processor switched off."""

    kind = "GPU"

    def __init__(self) -> None:
        self._tf: Any = importlib.import_module("tensorflow")
        self._tf.config.set_soft_device_placement(False)
        self.library = f"tensorflow {self._tf.__version__}"

    def count(self) -> int:
        return len(self._tf.config.list_physical_devices("GPU"))

    def is_built_for_it(self) -> bool:
        return bool(self._tf.test.is_built_with_cuda())

    def describe(self, index: int) -> dict[str, str]:
        gpu = self._tf.config.list_physical_devices("GPU")[index]
        details = self._tf.config.experimental.get_device_details(gpu)
        capability = ".".join(str(part) for part in details.get("compute_capability") or ())
        return {"device": details.get("device_name", ""), "compute_capability": capability}

    def sum_of_product(self, index: int, side: int) -> tuple[bool, float]:
        with self._tf.device(f"/GPU:{index}"):
            ones = self._tf.ones([side, side])
            product = self._tf.matmul(ones, ones)
            return "GPU" in product.device.upper(), float(self._tf.reduce_sum(product))


class TorchProbe:
    """PyTorch."""

    kind = "GPU"

    def __init__(self) -> None:
        self._torch: Any = importlib.import_module("torch")
        self.library = f"torch {self._torch.__version__}"

    def count(self) -> int:
        return int(self._torch.cuda.device_count()) if self._torch.cuda.is_available() else 0

    def is_built_for_it(self) -> bool:
        return self._torch.version.cuda is not None

    def describe(self, index: int) -> dict[str, str]:
        major, minor = self._torch.cuda.get_device_capability(index)
        return {"device": self._torch.cuda.get_device_name(index), "compute_capability": f"{major}.{minor}"}

    def sum_of_product(self, index: int, side: int) -> tuple[bool, float]:
        ones = self._torch.ones((side, side), device=f"cuda:{index}")
        product = self._torch.matmul(ones, ones)
        return product.device.type == "cuda", float(product.sum().item())


class JaxProbe:
    """JAX, which falls back to the processor with no more than a warning."""

    kind = "GPU"

    def __init__(self) -> None:
        self._jax: Any = importlib.import_module("jax")
        self._numpy: Any = importlib.import_module("jax.numpy")
        self.library = f"jax {self._jax.__version__}"

    def count(self) -> int:
        return len(self._gpus())

    def is_built_for_it(self) -> bool:
        # Its GPU part is a package of its own, found or not when JAX starts.
        return importlib.util.find_spec("jax_plugins") is not None

    def describe(self, index: int) -> dict[str, str]:
        gpu = self._gpus()[index]
        return {"device": gpu.device_kind, "compute_capability": str(getattr(gpu, "compute_capability", "") or "")}

    def sum_of_product(self, index: int, side: int) -> tuple[bool, float]:
        ones = self._jax.device_put(self._numpy.ones((side, side)), self._gpus()[index])
        product = self._numpy.matmul(ones, ones)
        return all(_is_gpu(device) for device in product.devices()), float(product.sum())

    def _gpus(self) -> list[Any]:
        return [device for device in self._jax.local_devices() if _is_gpu(device)]


def _is_gpu(device: Any) -> bool:
    return device.platform in ("gpu", "cuda")


PROBES: dict[str, Callable[[], Probe]] = {
    "tensorflow": TensorFlowProbe,
    "pytorch": TorchProbe,
    "torch": TorchProbe,  # as Keras calls it
    "jax": JaxProbe,
}
