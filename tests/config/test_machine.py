"""Machine configs: found by name, read into a MachineSpec, and told precisely when they are wrong."""

import os
from pathlib import Path

import pytest

from cloudtrain.config import assets
from cloudtrain.config.machine import list_machines, load_machine, machine_names
from cloudtrain.model.errors import CloudtrainError, ConfigError, NotFoundError
from cloudtrain.model.spec import MachineSpec, Market, Resources, SshSettings

FULL = """
description: One A10G
provider: aws
regions: [us-east-1, us-west-2, us-east-1]
instance_types: [g5.xlarge, n1-standard-4+nvidia-tesla-t4]
resources: {gpu: A10G, gpus: 1}
market: spot
disk_gb: 100
image: projects/p/global/images/family/f
ssh:
  user: ubuntu
  port: 2222
  proxy_command: ssh -W %h:%p gate
  options: {ServerAliveInterval: 15, CheckHostIP: no}
endpoint_url: https://ec2.internal.example:8443/x
resource_manager_url: http://127.0.0.1:5000
authority_url: https://[::1]:5001
"""

AWS = "provider: aws\n"
TYPED = f"{AWS}instance_types: [g5.xlarge]\n"

# name: (text of the file, line, field, words of the message, words of the hint)
BROKEN: dict[str, tuple[str, int | None, str, str, str]] = {
    "empty": ("", None, "provider", "is needed", "provider: aws"),
    "no provider": ("instance_types: [x]\n", None, "provider", "is needed", "provider: aws"),
    "loud provider": ("provider: AWS\n", 1, "provider", 'found "AWS"', "lower case"),
    "provider list": ("provider: [aws]\n", 1, "provider", "found a list", "lower case"),
    "nothing to rent": (f"{AWS}regions: [us-east-1]\n", None, "instance_types", "not told what to rent", "gpus: 1"),
    "empty types": (f"{AWS}instance_types: []\n", 2, "instance_types", "not told what to rent", "gpus: 1"),
    "types as word": (f"{AWS}instance_types: g5.xlarge\n", 2, "instance_types", "expected a list", "[g5.xlarge"),
    "two types in one": (f"{AWS}instance_types:\n  - a b\n", 3, "instance_types[0]", "one word", "blanks"),
    "typo": (f"{TYPED}instance_type: [x]\n", 3, "instance_type", "no setting", "`instance_types`"),
    "zone": (f"{TYPED}zzz: x\n", 3, "zzz", "no setting", "Known here: description, provider"),
    "twice": (f"{TYPED}provider: gcp\n", 3, "provider", "lines 1 and 3", "Keep one"),
    "market": (f"{TYPED}market: ondemand\n", 3, "market", "on-demand, spot", "`on-demand`"),
    "no disk": (f"{TYPED}disk_gb: 0\n", 3, "disk_gb", "1 or more", "disk_gb: 100"),
    "disk in words": (f"{TYPED}disk_gb: 100GB\n", 3, "disk_gb", 'whole number, found "100GB"', "disk_gb: 100"),
    "gpus": (f"{TYPED}resources:\n  gpus: many\n", 4, "resources.gpus", "whole number", "gpus: 1"),
    "description": (f"{TYPED}description: |\n  a\n  b\n", 3, "description", "one line of text", "one line"),
    "ssh word": (f"{TYPED}ssh: ubuntu\n", 3, "ssh", "group of settings", "user: ubuntu"),
    "port": (f"{TYPED}ssh: {{port: 70000}}\n", 3, "ssh.port", "65535 or less", "port: 22"),
    "port zero": (f"{TYPED}ssh: {{port: 0}}\n", 3, "ssh.port", "1 or more", "port: 22"),
    "user is an option": (f'{TYPED}ssh:\n  user: "-oProxyCommand=x"\n', 4, "ssh.user", "a login name", "user: ubuntu"),
    "unpinned": (
        f"{TYPED}ssh:\n  options:\n    StrictHostKeyChecking: no\n",
        5,
        "ssh.options.StrictHostKeyChecking",
        "undo",
        "Remove",
    ),
    "unpinned quietly": (
        f"{TYPED}ssh:\n  options: {{userKNOWNhostsfile: x}}\n",
        4,
        "ssh.options.userKNOWNhostsfile",
        "undo",
        "Remove",
    ),
    "unpinned globally": (
        f"{TYPED}ssh: {{options: {{GlobalKnownHostsFile: x}}}}\n",
        3,
        "ssh.options.GlobalKnownHostsFile",
        "undo",
        "key",
    ),
    "option with a value": (
        f'{TYPED}ssh: {{options: {{"A=b": x}}}}\n',
        3,
        "ssh.options.A=b",
        "name of an ssh option",
        "ssh_config",
    ),
    "two options in one": (
        f'{TYPED}ssh: {{options: {{Port: "1\\nStrictHostKeyChecking no"}}}}\n',
        3,
        "ssh.options.Port",
        "one line",
        "one line",
    ),
    "ftp": (f"{TYPED}endpoint_url: ftp://x\n", 3, "endpoint_url", "http or https", "https://"),
    "no scheme": (f"{TYPED}endpoint_url: ec2.example.com\n", 3, "endpoint_url", "http or https", "https://"),
    "no host": (f"{TYPED}authority_url: https://\n", 3, "authority_url", "http or https", "https://"),
    "bad port": (f"{TYPED}resource_manager_url: https://x:99999\n", 3, "resource_manager_url", "http or https", "https://"),
    "bad address": (f'{TYPED}endpoint_url: "https://[::1"\n', 3, "endpoint_url", "http or https", "https://"),
    "alias": (f"{TYPED}image: *x\n", 3, "image", "aliases", "Write it out"),
    "tag": (f"{TYPED}image: !x y\n", 3, "image", "tags", "Remove"),
}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    made = [tmp_path / name for name in ("first", "second")]
    for folder in made:
        folder.mkdir()
    return made


def test_every_setting_arrives(folders: list[Path]) -> None:
    (folders[0] / "mine.yaml").write_text(FULL)
    assert load_machine("mine", folders=folders) == MachineSpec(
        name="mine",
        provider="aws",
        description="One A10G",
        origin="first/mine.yaml",
        regions=("us-east-1", "us-west-2"),
        instance_types=("g5.xlarge", "n1-standard-4+nvidia-tesla-t4"),
        resources=Resources(gpu="A10G", gpus=1),
        market=Market.SPOT,
        disk_gb=100,
        image="projects/p/global/images/family/f",
        ssh=SshSettings("ubuntu", 2222, "ssh -W %h:%p gate", {"ServerAliveInterval": "15", "CheckHostIP": "no"}),
        endpoint_url="https://ec2.internal.example:8443/x",
        resource_manager_url="http://127.0.0.1:5000",
        authority_url="https://[::1]:5001",
    )


def test_what_is_left_out_is_the_model_s_default(folders: list[Path]) -> None:
    (folders[0] / "m.yaml").write_text("provider: local\nssh: {user: auto, proxy_command: null}\nendpoint_url:\n")
    assert load_machine("m", folders=folders) == MachineSpec(name="m", provider="local", origin="first/m.yaml")
    (folders[0] / "r.yaml").write_text("provider: gcp\nresources: {gpus: 1}\n")
    assert load_machine("r", folders=folders).resources.gpus == 1


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_is_told_with_file_line_field_and_a_hint(name: str, folders: list[Path]) -> None:
    text, line, field, words, hint = BROKEN[name]
    (folders[0] / "m.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_machine("m", folders=folders)
    error = caught.value
    assert (error.file, error.line, error.field) == ("first/m.yaml", line, field)
    assert words in error.message
    assert hint in error.hint
    assert error.exit_code == 2


def test_the_first_folder_wins_and_a_broken_file_hides_a_good_one(folders: list[Path]) -> None:
    for folder in folders:
        (folder / "a.yaml").write_text(f"provider: local\ndescription: {folder.name}\n")
        (folder / "b.yaml").write_text("provider: local\n" if folder is folders[1] else "provider: [\n")
    (folders[1] / "c.yaml").write_text("provider: memory\n")
    (folders[1] / ".hidden.yaml").write_text("}")
    (folders[1] / "notes.txt").write_text("}")
    (folders[1] / "bad name.yaml").write_text("provider: local\n")
    machines, errors = list_machines(folders=[*folders, folders[0] / "absent"])
    assert [(machine.name, machine.origin) for machine in machines] == [("a", "first/a.yaml"), ("c", "second/c.yaml")]
    assert [error.file for error in errors] == ["first/b.yaml", "second/bad name.yaml"]
    assert machine_names(folders=folders) == ("a", "b", "bad name", "c")
    assert load_machine("a", folders=folders).description == "first"
    with pytest.raises(ConfigError, match="first/b"):
        load_machine("b", folders=folders)


def test_the_search_goes_from_here_over_the_person_s_own_to_ours(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(tmp_path / "home"))
    own = tmp_path / "home" / "config" / "configs"
    assert not Path(load_machine("memory").origin).is_relative_to(tmp_path)
    own.mkdir(parents=True)
    (own / "memory.yaml").write_text("provider: memory\ndescription: own\n")
    assert load_machine("memory").description == "own"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "memory.yaml").write_text("provider: memory\ndescription: here\n")
    assert load_machine("memory").origin == "configs/memory.yaml"
    assert load_machine("aws-g5").instance_types
    assert {"memory", "aws-g5"} <= {machine.name for machine in list_machines()[0]}


def test_without_our_configs_the_person_s_own_still_work(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "site-packages" / "cloudtrain")
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(tmp_path))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "m.yaml").write_text("provider: local\n")
    assert load_machine("m").provider == "local"
    with pytest.raises(ConfigError, match="has no configs"):
        load_machine("n")
    machines, errors = list_machines()
    assert (machines, len(errors)) == ([], 1)


def test_an_unknown_name_suggests_the_nearest(folders: list[Path]) -> None:
    (folders[0] / "aws-g5.yaml").write_text("}")
    for wrong in ("aws-g55", "AWS-G5", "aws g5", "aws-g5.yaml"):
        with pytest.raises(NotFoundError, match="There is no machine config named") as caught:
            load_machine(wrong, folders=folders)
        assert "Did you mean `aws-g5`?" in caught.value.hint
        assert "cloudtrain configs" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        load_machine("zzz", folders=folders)
    assert caught.value.hint == "See what there is: `cloudtrain configs`"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../m", "a/b", "/etc/passwd", "~/m", "-x", "a\\b", "./absent.yaml", "../m\0.yaml"]
)
def test_what_looks_like_a_path_and_is_none_is_refused(name: str, folders: list[Path]) -> None:
    (folders[0].parent / "m").write_text("provider: local\n")
    with pytest.raises(ConfigError, match="neither the name") as caught:
        load_machine(name, folders=[folders[0]])
    assert caught.value.hint


@pytest.mark.parametrize("name", ["m\0", "m\n", "é", "x" * 5000, "m\udcff"])
def test_a_name_no_file_could_have_is_not_looked_for(name: str, folders: list[Path]) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_machine(name, folders=folders)
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_path_that_ends_in_yaml_names_that_file(folders: list[Path]) -> None:
    (folders[1] / "m.yaml").write_text("provider: local\n")
    assert load_machine("second/m.yaml", folders=[]).name == "m"
    assert load_machine(str(folders[1] / "m.yaml"), folders=[]).origin == "second/m.yaml"
    os.chdir(folders[1])
    assert load_machine("m.yaml", folders=[]).origin == "m.yaml"
    assert load_machine("../second/m.yaml", folders=[]).provider == "local"


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (folders[0] / "m.yaml").mkdir()
    machines, errors = list_machines(folders=[tmp_path / "file", *folders])
    assert machines == []
    assert [(error.file, error.message) for error in errors] == [("first/m.yaml", "expected a file, found a folder")]


def test_a_folder_that_cannot_be_read_is_reported(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (folders[1] / "m.yaml").write_text("provider: local\n")
    listing = Path.iterdir

    def refuse(path: Path) -> object:
        if path == folders[0]:
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)  # root may read everything
    machines, errors = list_machines(folders=folders)
    assert [machine.name for machine in machines] == ["m"]
    assert [(error.file, error.message) for error in errors] == [("first", "the folder cannot be read: Permission denied")]
    assert issubclass(type(errors[0]), CloudtrainError)
