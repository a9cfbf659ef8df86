import json
import os
import sys
from dataclasses import replace

import pytest

from cloudtrain.guest import gpu_check

# Just the surface that is used, so that a name the real library has not would be missed here too.
TENSORFLOW = """
import os, sys
__version__ = "2.21.0"
print("chatter on standard output")
_placement = {"soft": True}

class _Gpu: pass
_gpus = [_Gpu() for _ in range(int(os.environ["FAKE_GPUS"]))]

class experimental:
    @staticmethod
    def get_device_details(gpu):
        assert gpu in _gpus
        return {"device_name": "Tesla T4", "compute_capability": (7, 5)}

class config:
    experimental = experimental
    @staticmethod
    def list_physical_devices(kind):
        assert kind == "GPU", kind
        return list(_gpus)
    @staticmethod
    def set_soft_device_placement(soft):
        _placement["soft"] = soft

class test:
    @staticmethod
    def is_built_with_cuda():
        return os.environ.get("FAKE_BUILD") != "cpu"

class device:
    current = None
    def __init__(self, name): self.name = name
    def __enter__(self): device.current = self.name
    def __exit__(self, *_): device.current = None

class _Tensor:
    def __init__(self, value): self.value, self.device = value, "/job:localhost" + os.environ.get("FAKE_DEVICE", device.current)

def ones(shape):
    assert not _placement["soft"], "soft placement would hide a fall back"
    return _Tensor(shape)

def matmul(a, b):
    kind = os.environ.get("FAKE_TROUBLE")
    if kind == "abort": os.abort()
    if kind == "hang": open(os.environ["FAKE_GATE"]).read()
    if kind == "ptx": raise RuntimeError("CUDA_ERROR_INVALID_PTX\\nand much more")
    return _Tensor(float(os.environ.get("FAKE_SUM", a.value[0] * a.value[1] * b.value[1])))

def reduce_sum(tensor): return tensor.value
"""
TORCH = """
import os
__version__ = "2.13.0+cu128"
class version: cuda = "12.8"
class _Device: type = os.environ.get("FAKE_DEVICE", "cuda")
class _Scalar:
    def __init__(self, value): self.value = value
    def item(self): return self.value
class _Tensor:
    device = _Device
    def __init__(self, shape): self.shape = shape
    def sum(self): return _Scalar(float(self.shape[0] ** 2 * self.shape[1]))
class cuda:
    is_available = staticmethod(lambda: int(os.environ["FAKE_GPUS"]) > 0)
    device_count = staticmethod(lambda: int(os.environ["FAKE_GPUS"]))
    get_device_name = staticmethod(lambda index: "NVIDIA L4")
    get_device_capability = staticmethod(lambda index: (8, 9))
def ones(shape, device):
    assert device.startswith("cuda:"), device
    return _Tensor(shape)
def matmul(a, b): return _Tensor(a.shape)
"""
JAX = """
import os
__version__ = "0.10.2"
class _Device:
    platform = os.environ.get("FAKE_DEVICE", "gpu")
    device_kind = "NVIDIA H100"
    compute_capability = "9.0"
_devices = [_Device() for _ in range(int(os.environ["FAKE_GPUS"]))]
def local_devices(): return list(_devices)
def device_put(array, device):
    assert device in _devices
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
SMI = """#!/bin/sh
case "$1" in
*compute_cap*) echo 'Tesla T4, 15360, 550.54.15, 7.5';;
esac
"""


@pytest.fixture
def machine(guest, tmp_path):
    """A machine with frameworks that only look like the real ones."""
    files = {
        "tensorflow.py": TENSORFLOW,
        "torch.py": TORCH,
        "jax/__init__.py": JAX,
        "jax/numpy.py": JAX_NUMPY,
        "keras.py": KERAS,
    }
    for name, text in files.items():
        (tmp_path / "modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "modules" / name).write_text(text)
    (tmp_path / "bin").mkdir()
    env = {"PYTHONPATH": str(tmp_path / "modules"), "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "FAKE_GPUS": "1"}
    return replace(guest, python=sys.executable, env=env)


@pytest.fixture
def driver(tmp_path, machine):
    """An NVIDIA driver with one T4."""
    (tmp_path / "bin" / "nvidia-smi").write_text(SMI)
    (tmp_path / "bin" / "nvidia-smi").chmod(0o755)


def check(machine, framework: str, *arguments: str, **fakes: str):
    machine.env.update(fakes)
    return machine.ask("gpu-check", framework, *arguments)


def test_gpu_that_computes(machine, driver) -> None:
    assert check(machine, "tensorflow") == {
        "ok": True,
        "device": "Tesla T4",
        "gpus": 1,
        "library": "tensorflow 2.21.0",
        "driver": "550.54.15",
        "compute_capability": "7.5",
        "reason": "",
    }


@pytest.mark.parametrize(
    ("framework", "library", "device", "capability"),
    [
        ("pytorch", "torch 2.13.0+cu128", "NVIDIA L4", "8.9"),
        ("jax", "jax 0.10.2", "NVIDIA H100", "9.0"),
        ("keras", "keras 3.15.1 on tensorflow 2.21.0", "Tesla T4", "7.5"),
    ],
)
def test_every_framework(machine, framework, library, device, capability) -> None:
    seen = check(machine, framework, "--gpus", "2", FAKE_GPUS="2")
    assert (seen["ok"], seen["gpus"], seen["library"]) == (True, 2, library)
    assert (seen["device"], seen["compute_capability"]) == (device, capability)


def test_keras_computes_with_the_backend_that_was_chosen(machine) -> None:
    assert check(machine, "keras", KERAS_BACKEND="torch")["library"] == "keras 3.15.1 on torch 2.13.0+cu128"
    odd = check(machine, "keras", KERAS_BACKEND="numpy")
    assert (odd["ok"], odd["library"]) == (False, "keras 3.15.1")
    assert "backend numpy" in odd["reason"]


@pytest.mark.parametrize("framework", ["tensorflow", "keras", "pytorch", "jax"])
def test_no_gpu_is_said(machine, framework) -> None:
    seen = check(machine, framework, FAKE_GPUS="0")
    assert (seen["ok"], seen["gpus"]) == (False, 0)
    assert seen["reason"].startswith("no GPU is visible to ")
    assert "no NVIDIA driver answers" in seen["reason"]


def test_gpu_that_the_framework_does_not_see_is_named_with_all_that_is_known(machine, driver) -> None:
    reason = check(machine, "tensorflow", FAKE_GPUS="0", FAKE_BUILD="cpu")["reason"]
    assert "this build of it is for processors alone" in reason
    for known in ("Tesla T4", "driver 550.54.15", "compute capability 7.5", "tensorflow 2.21.0"):
        assert known in reason


def test_fewer_gpus_than_asked_for(machine) -> None:
    seen = check(machine, "tensorflow", "--gpus", "4", FAKE_GPUS="2")
    assert not seen["ok"]
    assert seen["reason"].startswith("2 of the 4 GPUs asked for are visible")


@pytest.mark.parametrize(
    ("fakes", "words"),
    [
        ({"FAKE_DEVICE": "/device:CPU:0"}, "computed elsewhere"),
        ({"FAKE_SUM": "16777000000"}, "where 16777216.0 is right"),
        ({"FAKE_SUM": "nan"}, "computed nan"),
        ({"FAKE_TROUBLE": "ptx"}, "RuntimeError: CUDA_ERROR_INVALID_PTX ("),
        ({"FAKE_TROUBLE": "abort"}, "the check was ended by SIGABRT"),
        ({"FAKE_GPUS": "many"}, "ValueError"),
    ],
)
def test_gpu_that_does_not_compute(machine, driver, fakes, words) -> None:
    seen = check(machine, "tensorflow", **fakes)
    assert not seen["ok"]
    assert words in seen["reason"]
    assert "driver 550.54.15" in seen["reason"]


def test_framework_that_is_not_there(machine, tmp_path) -> None:
    (tmp_path / "modules" / "torch.py").unlink()
    seen = check(machine, "pytorch")
    assert not seen["ok"]
    assert "No module named 'torch'" in seen["reason"]


def test_framework_none_has_nothing_to_compute_with(machine) -> None:
    assert "nothing to compute with" in check(machine, "none")["reason"]


def test_check_that_hangs_is_ended(tmp_path) -> None:
    os.mkfifo(tmp_path / "gate")
    answer = gpu_check._apart(lambda: {"reason": (tmp_path / "gate").read_text()}, 0.05)
    assert answer == {"reason": "the check did not end within 0.05 s"}


def test_standard_output_is_the_answer_alone(machine) -> None:
    done = machine.call("gpu-check", "tensorflow")
    assert b"chatter" in done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["ok"] is True


def test_unknown_framework_is_an_error(machine) -> None:
    done = machine.call("gpu-check", "caffe")
    assert done.returncode == 1
    assert "caffe" in json.loads(done.stdout)["error"]
