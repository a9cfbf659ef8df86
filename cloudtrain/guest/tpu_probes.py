"""How each framework is asked which TPU chips it sees, and made to compute on one of them."""

from __future__ import annotations

import importlib.util
from typing import Any, Callable

from .probes import Probe


class TensorFlowTpuProbe:
    """TensorFlow, with its habit of falling back to the processor switched off."""

    kind = "TPU"

    def __init__(self) -> None:
        self._tf: Any = importlib.import_module("tensorflow")
        self._tf.config.set_soft_device_placement(False)
        self.library = f"tensorflow {self._tf.__version__}"
        self._devices: list[Any] | None = None

    def count(self) -> int:
        return len(self._chips())

    def is_built_for_it(self) -> bool:
        return importlib.util.find_spec("libtpu") is not None

    def describe(self, index: int) -> dict[str, str]:
        return {"device": str(self._chips()[index].name)}

    def sum_of_product(self, index: int, side: int) -> tuple[bool, float]:
        with self._tf.device(f"/TPU:{index}"):
            ones = self._tf.ones([side, side])
            product = self._tf.matmul(ones, ones)
            return "TPU" in product.device.upper(), float(self._tf.reduce_sum(product))

    def _chips(self) -> list[Any]:
        if self._devices is None:
            # "local": the chips of this machine; without a word it would look for others over the network.
            resolver = self._tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
            self._tf.tpu.experimental.initialize_tpu_system(resolver)
            self._devices = list(self._tf.config.list_logical_devices("TPU"))
        return self._devices


class JaxTpuProbe:
    """JAX, which falls back to the processor with no more than a warning."""

    kind = "TPU"

    def __init__(self) -> None:
        self._jax: Any = importlib.import_module("jax")
        self._numpy: Any = importlib.import_module("jax.numpy")
        self.library = f"jax {self._jax.__version__}"

    def count(self) -> int:
        return len(self._chips())

    def is_built_for_it(self) -> bool:
        return importlib.util.find_spec("libtpu") is not None

    def describe(self, index: int) -> dict[str, str]:
        return {"device": self._chips()[index].device_kind}

    def sum_of_product(self, index: int, side: int) -> tuple[bool, float]:
        ones = self._jax.device_put(self._numpy.ones((side, side)), self._chips()[index])
        product = self._numpy.matmul(ones, ones)
        return all(device.platform == "tpu" for device in product.devices()), float(product.sum())

    def _chips(self) -> list[Any]:
        return [device for device in self._jax.local_devices() if device.platform == "tpu"]


TPU_PROBES: dict[str, Callable[[], Probe]] = {"tensorflow": TensorFlowTpuProbe, "jax": JaxTpuProbe}
