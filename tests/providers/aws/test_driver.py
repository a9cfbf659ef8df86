"""The script that gives an old GPU its driver, carried out by a real `sh` with tools that only tell."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.offer import Offer
from cloudtrain.providers.aws.driver import branch_for, installing
from cloudtrain.providers.aws.provider import AwsProvider

from .conftest import REGION, ZONE, Cloud

K80 = Offer("aws", "p2.xlarge", REGION, zone=ZONE, usd_per_hour=0.9, gpu="K80", gpu_count=1, compute_capability="3.7")
READY = "linux-modules-nvidia-470-server-6.8.0-1021-aws"


class Machine:
    """A folder that plays a machine; what is installed, and how, is in `said`."""

    def __init__(self, folder: Path) -> None:
        self.root, self.tools, self.told = folder / "root", folder / "tools", folder / "told"
        self.tools.mkdir()
        self.told.touch()
        (self.tools / "grep").symlink_to(shutil.which("grep") or "")
        self.has_device("0x10de")
        self.tool("uname", "echo 6.8.0-1021-aws")
        self.tool("modprobe", f'echo "modprobe $*" >>{self.told}')
        self.has_packages(READY, "linux-headers-6.8.0-1021-aws")

    def tool(self, name: str, body: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.tools / name).chmod(0o755)

    def has_device(self, vendor: str) -> None:
        place = self.root / "sys/bus/pci/devices/0000:00:1e.0"
        place.mkdir(parents=True, exist_ok=True)
        (place / "vendor").write_text(f"{vendor}\n")

    def has_packages(self, *kernels: str) -> None:
        """Let apt know these packages of the kernel's, and all others."""
        known = " ".join(kernels)
        self.tool(
            "apt-get",
            f"""echo "apt-get $*" >>{self.told}
for word in "$@"; do
  case $word in linux-*) case " {known} " in *" $word "*) ;; *) exit 100;; esac;; esac
done""",
        )

    def boot(self) -> list[str]:
        env = {"PATH": str(self.tools), "CLOUDTRAIN_GUEST_ROOT": str(self.root)}
        subprocess.run(["/bin/sh", "-c", installing("470-server")], env=env, check=False, timeout=30)
        return self.told.read_text().splitlines()


@pytest.fixture
def old(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_kernels_ready_module_is_taken(old: Machine) -> None:
    update, install, loaded = old.boot()
    assert update == "apt-get -q update"
    wanted = [READY, "nvidia-headless-no-dkms-470-server", "nvidia-utils-470-server"]
    assert install.split(" --no-install-recommends ")[1].split() == wanted
    assert loaded == "modprobe nvidia"


def test_where_there_is_none_it_is_built_there(old: Machine) -> None:
    old.has_packages("linux-headers-6.8.0-1021-aws")
    *_, install, loaded = old.boot()
    wanted = ["linux-headers-6.8.0-1021-aws", "nvidia-headless-470-server", "nvidia-utils-470-server"]
    assert install.split(" --no-install-recommends ")[1].split() == wanted
    assert loaded == "modprobe nvidia"


def test_what_has_no_gpu_or_has_its_driver_is_left_alone(old: Machine) -> None:
    old.has_device("0x1d0f")
    assert old.boot() == []
    old.has_device("0x10de")
    old.tool("nvidia-smi", "exit 0")
    assert old.boot() == []


@pytest.mark.parametrize(
    ("instance_type", "capability", "branch"),
    [
        ("p2.xlarge", "3.7", "470-server"),
        ("p2.xlarge", "", "470-server"),
        ("g2.2xlarge", "", "470-server"),
        ("g3.4xlarge", "5.2", "535-server"),
        ("p3.2xlarge", "7.0", "535-server"),
        ("p3.2xlarge", "", "535-server"),
    ],
)
def test_each_gpu_has_the_newest_branch_that_drives_it(instance_type: str, capability: str, branch: str) -> None:
    assert branch_for(replace(K80, instance_type=instance_type, compute_capability=capability)) == branch


def test_a_k80_is_told_in_its_user_data_and_no_other_machine_is(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    machine = replace(order.machine, instance_types=("p2.xlarge",))
    provider.get(provider.launch(replace(order, machine=machine, offer=K80)).ref)
    provider.get(provider.launch(replace(order, token="ct-token-2")).ref)
    cloud.aws.settle()
    old, new = [yaml.safe_load(booted.user_data) for booted in cloud.hypervisor.orders]
    assert old["runcmd"] == [["sh", "-c", installing("470-server")]]
    assert "runcmd" not in new
    assert len(cloud.hypervisor.orders[0].user_data) < 12 * 1024
