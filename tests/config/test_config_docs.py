"""docs/config.md is generated, up to date, and complete."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from cloudtrain.config.host_schema import HostSection, WakeSection
from cloudtrain.config.job import load_job
from cloudtrain.config.machine import load_machine
from cloudtrain.config.schema import JobFile, MachineFile, ResourcesSection, SshSection
from cloudtrain.config.settings import SettingsFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_config_docs", ROOT / "scripts" / "generate_config_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_or_absent_page_is_told_and_written(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "PAGE", tmp_path / "config.md")
    assert script.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    (tmp_path / "config.md").write_text((tmp_path / "config.md").read_text() + "x")
    assert script.main(["--check"]) == 1
    assert script.main(["--chekc"]) == 2


def test_every_setting_has_a_row_with_every_cell_filled(script: ModuleType) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \| `(\w+): (.+)` \|$", script.page(), re.MULTILINE)
    machine = (MachineFile, ResourcesSection, HostSection, WakeSection, SshSection)
    sections = (JobFile, ResourcesSection, *machine, SettingsFile)
    assert [row[0] for row in rows] == [name for section in sections for name in section.model_fields]
    assert all(cell.strip() for row in rows for cell in row)
    assert all(row[0] == row[4] for row in rows)


def test_every_example_is_read_without_complaint(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "cloudtrain.yaml").write_text(examples_of(JobFile))
    (tmp_path / "m.yaml").write_text(examples_of(MachineFile, but=("hosts",)))
    job, machine = load_job(tmp_path), load_machine("m", folders=[tmp_path])
    assert (job.name, job.budget.usd, machine.provider) == ("digits-cnn", 5.0, "aws")
    for section in (ResourcesSection, SshSection):
        group = {"ResourcesSection": "resources", "SshSection": "ssh"}[section.__name__]
        lines = "".join(f"  {line}\n" for line in examples_of(section).splitlines())
        (tmp_path / "m.yaml").write_text(f"provider: local\n{group}:\n{lines}")
        assert getattr(load_machine("m", folders=[tmp_path]), group)


def test_every_example_of_a_machine_of_ones_own_is_read_without_complaint(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(f"provider: hosts\nhosts: {MachineFile.model_fields['hosts'].examples[0]}\n")
    assert [host.name for host in load_machine("m", folders=[tmp_path]).hosts] == ["gpu1.lab.example", "gpu2.lab.example:2222"]
    lines = "".join(f"    {line}\n" for line in examples_of(HostSection, but=("wake",)).splitlines())
    wake = "".join(f"      {line}\n" for line in examples_of(WakeSection).splitlines()).replace(": aa:bb", ': "aa:bb')
    (tmp_path / "m.yaml").write_text(f"provider: hosts\nhosts:\n  -\n{lines}    wake:\n{wake}".replace(":ff", ':ff"'))
    (host,) = load_machine("m", folders=[tmp_path]).hosts
    assert (host.usd_per_hour, host.wake and host.wake.broadcast) == (0.35, "192.168.1.255")


def examples_of(section: type, but: tuple[str, ...] = ()) -> str:
    return "".join(f"{name}: {field.examples[0]}\n" for name, field in section.model_fields.items() if name not in but)


def test_the_rules_a_person_needs_are_on_the_page(script: ModuleType) -> None:
    page = script.page()
    for words in ("CLOUDTRAIN_HOME", "CLOUDTRAIN_CACHE", "Flags beat files", "`./configs`", "first file found counts"):
        assert words in page
