import pytest

from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.frameworks import TORCH_CPU_INDEX, Choice, Platform, choose
from cloudtrain.guest.requirements import Requirements

CPU = Platform((3, 12), "Linux", "x86_64", False)
GPU = Platform((3, 12), "Linux", "x86_64", True)
MAC = Platform((3, 12), "Darwin", "arm64", False)
ARM = Platform((3, 12), "Linux", "aarch64", False)


def chosen(framework: str, *names: str, on: Platform = CPU, own_index: bool = False) -> Choice:
    return choose(framework, Requirements(names=set(names)), on, own_index)


@pytest.mark.parametrize(
    ("framework", "platform", "packages"),
    [
        ("tensorflow", GPU, ("tensorflow[and-cuda]==2.21.0",)),
        ("tensorflow", CPU, ("tensorflow-cpu==2.21.0",)),
        ("tensorflow", MAC, ("tensorflow==2.21.0",)),
        ("tensorflow", ARM, ("tensorflow==2.21.0",)),
        ("keras", GPU, ("keras==3.15.1", "tensorflow[and-cuda]==2.21.0")),
        ("pytorch", GPU, ("torch==2.13.0",)),
        ("pytorch", CPU, ("torch==2.13.0",)),
        ("jax", GPU, ("jax[cuda12]==0.10.2",)),
        ("jax", CPU, ("jax==0.10.2",)),
        ("none", GPU, ()),
    ],
)
def test_default_packages(framework, platform, packages) -> None:
    assert chosen(framework, on=platform).packages == packages


@pytest.mark.parametrize(
    ("framework", "name"),
    [("tensorflow", "tensorflow-cpu"), ("tensorflow", "tf-nightly"), ("pytorch", "torch"), ("jax", "jax")],
)
def test_what_the_requirements_name_is_theirs(framework, name) -> None:
    assert chosen(framework, name) == Choice(())


def test_keras_takes_the_backend_that_is_named() -> None:
    assert chosen("keras", "tensorflow-cpu").packages == ("keras==3.15.1",)
    assert chosen("keras", "keras").packages == ("tensorflow-cpu==2.21.0",)
    own = chosen("keras", "torch")
    assert own.packages == ("keras==3.15.1",)
    assert "KERAS_BACKEND" in own.remarks[0]


def test_torch_for_processors_comes_from_its_own_index_unless_somebody_chose_another() -> None:
    assert chosen("pytorch").extra_index == TORCH_CPU_INDEX
    assert chosen("pytorch", own_index=True).extra_index is None
    assert choose("pytorch", Requirements(names_index=True), CPU, False).extra_index is None
    assert chosen("pytorch", on=GPU).extra_index is None
    assert chosen("pytorch", on=MAC).extra_index is None
    assert chosen("pytorch", "torch").extra_index is None


def test_another_framework_in_the_requirements_is_a_warning_and_no_more() -> None:
    choice = chosen("tensorflow", "torch")
    assert choice.packages == ("tensorflow-cpu==2.21.0",)
    assert choice.remarks == (
        "warning: the framework is tensorflow, yet the requirements name pytorch: both will be installed",
    )
    assert chosen("none", "torch").remarks == ()


@pytest.mark.parametrize(
    ("framework", "python", "words"),
    [
        ("tensorflow", (3, 14), "tensorflow needs Python 3.10 to 3.13 and this machine runs 3.14"),
        ("tensorflow", (3, 9), "this machine runs 3.9"),
        ("keras", (3, 10), "keras needs Python 3.11 to 3.13"),
        ("jax", (3, 10), "jax needs Python 3.11 or newer"),
    ],
)
def test_python_without_such_a_package_is_said(framework, python, words) -> None:
    with pytest.raises(GuestError, match=words):
        chosen(framework, on=Platform(python, "Linux", "x86_64", False))


def test_own_version_may_be_for_another_python() -> None:
    assert chosen("tensorflow", "tensorflow", on=Platform((3, 8), "Linux", "x86_64", False)).packages == ()


def test_unknown_framework_is_said() -> None:
    with pytest.raises(GuestError, match="caffe"):
        chosen("caffe")
