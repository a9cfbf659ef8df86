"""The check of TPU chips, and the packages for them, on machines that only look as if they had any."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.frameworks import Platform, choose
from cloudtrain.guest.requirements import Requirements

# Just the surface that is used, so that a name the real library has not would be missed here too.
TENSORFLOW = """
import os
__version__ = "2.20.0"
_state = {"soft": True, "ready": False}

class _Device: name = "/device:TPU:0"

class config:
    @staticmethod
    def set_soft_device_placement(soft): _state["soft"] = soft
    @staticmethod
    def list_logical_devices(kind):
        assert kind == "TPU", kind
        assert _state["ready"], "the chips were not initialised"
        return [_Device() for _ in range(int(os.environ["FAKE_TPUS"]))]

class distribute:
    class cluster_resolver:
        class TPUClusterResolver:
            def __init__(self, tpu): assert tpu == "local", tpu

class tpu:
    class experimental:
        @staticmethod
        def initialize_tpu_system(resolver):
            assert isinstance(resolver, distribute.cluster_resolver.TPUClusterResolver)
            assert not _state["ready"], "initialised twice: what was computed is lost then"
            _state["ready"] = True

class device:
    current = None
    def __init__(self, name): self.name = name
    def __enter__(self): device.current = self.name
    def __exit__(self, *_): device.current = None

class _Tensor:
    def __init__(self, value): self.value, self.device = value, "/job:localhost" + os.environ.get("FAKE_DEVICE", device.current)

def ones(shape):
    assert not _state["soft"], "soft placement would hide a fall back"
    return _Tensor(shape)

def matmul(a, b): return _Tensor(float(os.environ.get("FAKE_SUM", a.value[0] * a.value[1] * b.value[1])))
def reduce_sum(tensor): return tensor.value
"""
JAX = """
import os
__version__ = "0.6.2"
class _Device:
    platform = os.environ.get("FAKE_PLATFORM", "tpu")
    device_kind = "TPU v5 lite"
_devices = [_Device() for _ in range(int(os.environ["FAKE_TPUS"]))]
def local_devices(): return list(_devices)
def device_put(array, device):
    array.device = device
    return array
"""
JAX_NUMPY = """
class _Array:
    device = None
    def __init__(self, shape): self.shape = shape
    def devices(self): return {self.device}
    def sum(self): return self.shape[0] ** 2 * self.shape[1]
def ones(shape): return _Array(shape)
def matmul(a, b): return a
"""
KERAS = """
import os
__version__ = "3.15.1"
class backend:
    backend = staticmethod(lambda: os.environ.get("KERAS_BACKEND", "tensorflow"))
"""


@pytest.fixture
def machine(guest, tmp_path: Path):
    """A machine with four v5e chips and a network card of Google's, and frameworks that only look like the real ones."""
    modules, root = tmp_path / "modules", tmp_path / "root"
    files = {"tensorflow.py": TENSORFLOW, "jax/__init__.py": JAX, "jax/numpy.py": JAX_NUMPY, "keras.py": KERAS}
    for name, text in files.items():
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).write_text(text)
    for slot, device in enumerate(["0x0063"] * 4 + ["0x0042"]):
        folder = root / f"sys/bus/pci/devices/0000:00:0{slot}.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text("0x1ae0\n")
        (folder / "device").write_text(f"{device}\n")
    env = {
        "PYTHONPATH": str(modules),
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "CLOUDTRAIN_GUEST_ROOT": str(root),
        "FAKE_TPUS": "4",
    }
    return replace(guest, python=sys.executable, env=env)


def check(machine, framework: str, *arguments: str, **fakes: str):
    machine.env.update(fakes)
    return machine.ask("gpu-check", framework, *arguments)


@pytest.mark.parametrize(
    ("framework", "library"),
    [
        ("tensorflow", "tensorflow 2.20.0"),
        ("jax", "jax 0.6.2"),
        ("keras", "keras 3.15.1 on tensorflow 2.20.0"),
    ],
)
def test_every_chip_computes(machine, framework: str, library: str) -> None:
    seen = check(machine, framework, "--gpus", "4")
    assert (seen["ok"], seen["gpus"], seen["library"], seen["reason"]) == (True, 4, library, "")


@pytest.mark.parametrize(("framework", "device"), [("jax", "TPU v5 lite"), ("tensorflow", "/device:TPU:0")])
def test_the_chip_is_named(machine, framework: str, device: str) -> None:
    assert check(machine, framework)["device"] == device


@pytest.mark.parametrize("framework", ["tensorflow", "jax"])
def test_a_build_without_tpus_is_said(machine, framework: str) -> None:
    seen = check(machine, framework, FAKE_TPUS="0")
    assert not seen["ok"]
    assert seen["reason"].startswith(f"no TPU is visible to {framework}")
    assert "this build of it is for processors alone" in seen["reason"]
    assert "this machine has 4 TPU chips" in seen["reason"]


def test_a_jax_that_fell_back_to_the_processor_sees_no_tpu(machine) -> None:
    assert check(machine, "jax", FAKE_PLATFORM="cpu")["reason"].startswith("no TPU is visible to jax")


@pytest.mark.parametrize(
    ("fakes", "words"),
    [
        ({"FAKE_DEVICE": "/device:CPU:0"}, "the product meant for TPU 0 was computed elsewhere"),
        ({"FAKE_SUM": "nan"}, "TPU 0 computed nan"),
        ({"FAKE_TPUS": "2"}, "2 of the 4 TPUs asked for are visible"),
    ],
)
def test_chips_that_do_not_compute(machine, fakes: dict[str, str], words: str) -> None:
    seen = check(machine, "tensorflow", "--gpus", "4", **fakes)
    assert not seen["ok"]
    assert words in seen["reason"]


@pytest.mark.parametrize(("framework", "fakes"), [("pytorch", {}), ("keras", {"KERAS_BACKEND": "torch"})])
def test_a_framework_nobody_has_seen_on_a_tpu_is_said(machine, framework: str, fakes: dict[str, str]) -> None:
    seen = check(machine, framework, **fakes)
    assert not seen["ok"]
    assert "is not known to compute on them here" in seen["reason"]


@pytest.mark.parametrize(
    ("framework", "python", "packages"),
    [
        ("jax", (3, 10), ("jax[tpu]==0.6.2",)),
        ("jax", (3, 12), ("jax[tpu]==0.10.2",)),
        ("tensorflow", (3, 10), ("tensorflow-tpu==2.20.0",)),
        ("keras", (3, 12), ("keras==3.15.1", "tensorflow-tpu==2.20.0")),
    ],
)
def test_packages_for_tpus(framework: str, python: tuple[int, int], packages: tuple[str, ...]) -> None:
    platform = Platform(python, "Linux", "x86_64", False, has_tpu=True)
    assert choose(framework, Requirements(), platform, False).packages == packages


def test_without_chips_jax_is_as_choosy_as_before() -> None:
    with pytest.raises(GuestError, match=r"jax needs Python 3\.11"):
        choose("jax", Requirements(), Platform((3, 10), "Linux", "x86_64", False), False)
