"""Machines of your own in a machine config: every setting, the short form, and what is told when it is wrong."""

from pathlib import Path

import pytest

from cloudtrain.config.machine import load_machine
from cloudtrain.model.errors import ConfigError
from cloudtrain.model.plain import from_plain, to_plain
from cloudtrain.model.spec import HostSpec, MachineSpec, Wake

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
FULL = f"""
provider: hosts
hosts:
  - address: me@gpu1.lab.example:2222
    host_key: {KEY} root@gpu1
    host_keys: ["{KEY}"]
    price: 0.35
    wake: {{mac: AA-BB-CC-DD-EE-FF, broadcast: 192.168.1.255, port: 7}}
    shutdown: sudo poweroff
  - gpu2.lab.example
  - "[2001:db8::7]:2200"
  - 2001:db8::8
ssh:
  user: ubuntu
  proxy_command: ssh -W %h:%p gate
  options: {{IdentityFile: ~/.ssh/lab}}
resources: {{gpu: RTX4090, gpus: 2}}
"""

HEAD = "provider: hosts\nhosts:\n"
# name: (text of the file, line, field, words of the message, words of the hint)
BROKEN = {
    "none": ("provider: hosts\n", None, "hosts", "not named", "gpu1.lab.example"),
    "empty": ("provider: hosts\nhosts: []\n", 2, "hosts", "not named", "gpu1.lab.example"),
    "elsewhere": (
        "provider: aws\ninstance_types: [x]\nhosts: [gpu1]\n", 3, "hosts", "aws knows no machines", "provider: hosts"
    ),
    "a word": ("provider: hosts\nhosts: gpu1\n", 2, "hosts", "expected a list", "gpu1.lab.example"),
    "an option": (f'{HEAD}  - "-oProxyCommand=x"\n', 3, "hosts[0].address", "address of a machine", "2222"),
    "a blank": (f'{HEAD}  - "gpu1 gpu2"\n', 3, "hosts[0].address", "one word", "blanks"),
    "a port too far": (f"{HEAD}  - gpu1:65536\n", 3, "hosts[0].address", "address of a machine", "2222"),
    "a bad number": (f'{HEAD}  - "[fe80::zz]"\n', 3, "hosts[0].address", "address of a machine", "2222"),
    "nothing": (f"{HEAD}  - price: 1\n", 3, "hosts[0].address", "needed", "gpu1.lab.example"),
    "twice": (f"{HEAD}  - gpu1\n  - me@gpu1\n", 4, "hosts[1].address", "gpu1 stands in the list twice", "one"),
    "typo": (f"{HEAD}  - address: gpu1\n    prcie: 1\n", 4, "hosts[0].prcie", "no setting", "`price`"),
    "a free lunch": (f"{HEAD}  - address: gpu1\n    price: -1\n", 4, "hosts[0].price", "0 or more", "price: 0.35"),
    "a cut key": (f"{HEAD}  - address: gpu1\n    host_key: {KEY[:40]}\n", 4, "hosts[0].host_key", "public host key", "cat"),
    "another kind": (
        f"{HEAD}  - address: gpu1\n    host_key: ssh-rsa {KEY[12:]}\n", 4, "hosts[0].host_key", "public host key", "cat"
    ),
    "a known_hosts line": (
        f"{HEAD}  - address: gpu1\n    host_keys: [gpu1 {KEY}]\n", 4, "hosts[0].host_keys[0]", "public host key", "cat"
    ),
    "no card": (f"{HEAD}  - address: gpu1\n    wake: {{}}\n", 4, "hosts[0].wake.mac", "needed", "aa:bb"),
    "half a card": (f'{HEAD}  - address: gpu1\n    wake: {{mac: "aa:bb"}}\n', 4, "hosts[0].wake.mac", "hardware", "quotes"),
    "a card mixed": (
        f'{HEAD}  - address: gpu1\n    wake: {{mac: "aa:bb-cc:dd:ee:ff"}}\n', 4, "hosts[0].wake.mac", "hardware", "quotes"
    ),
    "broadcast": (
        f'{HEAD}  - address: gpu1\n    wake: {{mac: "aa:bb:cc:dd:ee:ff", broadcast: lab}}\n',
        4, "hosts[0].wake.broadcast", "IPv4", "192.168.1.255",
    ),
}  # fmt: skip


def load(tmp_path: Path, text: str) -> MachineSpec:
    (tmp_path / "mybox.yaml").write_text(text)
    return load_machine("mybox", folders=[tmp_path])


def test_every_setting_arrives(tmp_path: Path) -> None:
    machine = load(tmp_path, FULL)
    ssh = {"proxy_command": "ssh -W %h:%p gate", "options": {"IdentityFile": "~/.ssh/lab"}}
    assert machine.hosts == (
        HostSpec(
            "gpu1.lab.example",
            2222,
            "me",
            (KEY, KEY),
            0.35,
            Wake("aa:bb:cc:dd:ee:ff", "192.168.1.255", 7),
            "sudo poweroff",
            **ssh,
        ),
        HostSpec("gpu2.lab.example", None, "ubuntu", **ssh),
        HostSpec("2001:db8::7", 2200, "ubuntu", **ssh),
        HostSpec("2001:db8::8", None, "ubuntu", **ssh),
    )
    assert [host.name for host in machine.hosts] == [
        "gpu1.lab.example:2222",
        "gpu2.lab.example",
        "[2001:db8::7]:2200",
        "2001:db8::8",
    ]


def test_the_port_of_the_ssh_group_counts_where_it_is_written(tmp_path: Path) -> None:
    hosts = load(tmp_path, "provider: hosts\nhosts: [gpu1, gpu2:2222]\nssh: {port: 22, user: auto}\n").hosts
    assert [(host.port, host.user) for host in hosts] == [(22, None), (2222, None)]


def test_the_ledger_reads_back_what_it_wrote(tmp_path: Path) -> None:
    machine = load(tmp_path, FULL)
    assert from_plain(MachineSpec, to_plain(machine)) == machine


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, name: str) -> None:
    text, line, field, message, hint = BROKEN[name]
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    error = raised.value
    assert (error.line, error.field) == (line, field)
    assert message in error.message
    assert hint in error.hint
