"""Which packages a framework's job gets when its requirements do not say, and on which Pythons they exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection

from .errors import GuestError
from .requirements import Requirements

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

_TENSORFLOW = "2.21.0"

# What counts as the framework itself. All TensorFlow's are one import and one choice.
_NAMES = {
    "tensorflow": {
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-gpu",
        "tensorflow-rocm",
        "tensorflow-macos",
        "tensorflow-tpu",
        "intel-tensorflow",
        "tf-nightly",
        "tf-nightly-cpu",
        "tf-nightly-gpu",
    },
    "keras": {"keras", "keras-nightly"},
    "pytorch": {"torch"},
    "jax": {"jax"},
}

# First and last Python (None: no last one known) that the versions below are published for.
_PYTHONS: dict[str, tuple[tuple[int, int], tuple[int, int] | None]] = {
    "tensorflow": ((3, 10), (3, 13)),
    "keras": ((3, 11), (3, 13)),
    "pytorch": ((3, 10), None),
    "jax": ((3, 11), None),
}


# The same for TPU machines, where it differs.
_TPU_PYTHONS: dict[str, tuple[tuple[int, int], tuple[int, int] | None]] = {"jax": ((3, 10), None)}


@dataclass(frozen=True)
class Platform:
    """What decides between the variants of a package: Python, system, processor, NVIDIA driver, TPU chips."""

    python: tuple[int, int]
    system: str
    machine: str
    has_nvidia: bool
    has_tpu: bool = False


@dataclass(frozen=True)
class Choice:
    """What is installed beside the requirements.

    Attributes:
        packages: requirement texts.
        extra_index: address of a package index to search too, or None.
        remarks: what the person should know.
    """

    packages: tuple[str, ...]
    extra_index: str | None = None
    remarks: tuple[str, ...] = ()


def choose(framework: str, wanted: Requirements, platform: Platform, has_own_index: bool) -> Choice:
    """Choose the packages a framework needs that the requirements do not name.

    `has_own_index` says that the person has told the installer where packages come from.

    Raises:
        GuestError: this Python has no such package.
    """
    if framework != "none" and framework not in _NAMES:
        raise GuestError(f"there is no framework {framework!r}")
    missing = [part for part in _parts(framework, wanted.names) if not wanted.names & _NAMES[part]]
    for part in missing:
        _check_python(part, platform)
    packages = tuple(_package(part, platform) for part in missing)
    is_cpu_torch = "pytorch" in missing and platform.system == "Linux" and not platform.has_nvidia
    index = TORCH_CPU_INDEX if is_cpu_torch and not has_own_index and not wanted.names_index else None
    return Choice(packages, index, tuple(_remarks(framework, wanted.names)))


def _parts(framework: str, named: Collection[str]) -> list[str]:
    if framework == "none":
        return []
    if framework != "keras":
        return [framework]
    # Keras computes with a framework of the person's choice; TensorFlow only where none was chosen.
    return ["keras"] if _named(named, ("pytorch", "jax")) else ["keras", "tensorflow"]


def _check_python(part: str, platform: Platform) -> None:
    python = platform.python
    first, last = _TPU_PYTHONS.get(part, _PYTHONS[part]) if platform.has_tpu else _PYTHONS[part]
    if python < first or (last is not None and python > last):
        span = f"{_dotted(first)} to {_dotted(last)}" if last else f"{_dotted(first)} or newer"
        raise GuestError(
            f"{part} needs Python {span} and this machine runs {_dotted(python)}; "
            f"name a {part} version for {_dotted(python)} in the requirements, or use another image"
        )


def _package(part: str, platform: Platform) -> str:
    if platform.has_tpu and part in ("tensorflow", "jax"):
        return _for_tpu(part, platform.python)
    if part == "tensorflow":
        return _tensorflow(platform)
    if part == "jax":
        return "jax[cuda12]==0.10.2" if platform.has_nvidia else "jax==0.10.2"
    return {"keras": "keras==3.15.1", "pytorch": "torch==2.13.0"}[part]


def _for_tpu(part: str, python: tuple[int, int]) -> str:
    if part == "tensorflow":
        return "tensorflow-tpu==2.20.0"
    # Google's TPU images have Python 3.10, for which this is the last JAX.
    return "jax[tpu]==0.6.2" if python < (3, 11) else "jax[tpu]==0.10.2"


def _tensorflow(platform: Platform) -> str:
    if platform.system != "Linux":
        return f"tensorflow=={_TENSORFLOW}"
    if platform.has_nvidia:
        return f"tensorflow[and-cuda]=={_TENSORFLOW}"
    is_x86 = platform.machine in ("x86_64", "AMD64")
    return f"tensorflow-cpu=={_TENSORFLOW}" if is_x86 else f"tensorflow=={_TENSORFLOW}"


def _remarks(framework: str, named: Collection[str]) -> list[str]:
    others = _named(named, [part for part in ("tensorflow", "pytorch", "jax") if part != framework])
    if framework == "none" or not others:
        return []
    listed = " and ".join(others)
    if framework == "keras":
        return [] if others == ["tensorflow"] else [f"the requirements name {listed}: set KERAS_BACKEND for Keras to use it"]
    return [f"warning: the framework is {framework}, yet the requirements name {listed}: both will be installed"]


def _named(named: Collection[str], parts: Collection[str]) -> list[str]:
    return [part for part in parts if _NAMES[part] & set(named)]


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
