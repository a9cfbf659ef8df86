"""The configs and templates that travel with cloudtrain are found, described and copied without harm."""

import os
from pathlib import Path

import pytest

from cloudtrain.config import assets
from cloudtrain.config.assets import asset_folder, copy_template, template_names, template_summary
from cloudtrain.model.errors import ConfigError, NotFoundError

README = """\
# Digits

[![badge](x)](y)
![picture](x.png)
<!-- a remark -->

```
not this
```
- nor this
Trains a small network on real digits.
And more.
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "site-packages" / "cloudtrain"
    made.mkdir(parents=True)
    monkeypatch.setattr(assets, "_PACKAGE", made)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def templates(package: Path) -> Path:
    folder = package / "_assets" / "templates"
    digits = folder / "digits"
    for name in ("data", "__pycache__", "runs/1", "results", "src/__pycache__", ".ipynb_checkpoints"):
        (digits / name).mkdir(parents=True)
        (digits / name / "file").write_text(name)
    (digits / "README.md").write_text(README)
    (digits / "cloudtrain.yaml").write_text("command: python train.py\n")
    (digits / "train.py").write_bytes(b"\x00\xff")
    (digits / "train.py").chmod(0o555)
    (digits / "train.pyc").touch()
    (digits / ".gitignore").touch()
    (digits / "link").symlink_to("/etc/hostname")
    for name in ("bare", ".hidden", "_private"):
        (folder / name).mkdir()
    (folder / "README.md").touch()
    return folder


def test_the_package_s_assets_come_before_the_checkout_s(package: Path) -> None:
    with pytest.raises(ConfigError, match="This installation of cloudtrain has no templates") as caught:
        asset_folder("templates")
    assert "pip install" in caught.value.hint
    (package.parent / "templates").mkdir()
    with pytest.raises(ConfigError):
        asset_folder("templates")
    (package.parent / "pyproject.toml").touch()
    assert asset_folder("templates") == package.parent / "templates"
    (package / "_assets" / "templates").mkdir(parents=True)
    assert asset_folder("templates") == package / "_assets" / "templates"


def test_this_checkout_s_own_assets_are_found() -> None:
    assert (asset_folder("configs") / "memory.yaml").is_file()
    names = template_names()
    assert {"digits-tensorflow", "notebook"} <= set(names)
    assert all(len(template_summary(name)) > 10 for name in names)


def test_names_and_summaries(templates: Path) -> None:
    assert template_names() == ("bare", "digits")
    assert template_summary("digits") == "Trains a small network on real digits."
    assert template_summary("bare") == ""
    (templates / "bare" / "README.md").write_text("# Only a title\n")
    assert template_summary("bare") == ""


def test_a_template_is_copied_whole_and_nothing_else(templates: Path, tmp_path: Path) -> None:
    job = tmp_path / "deep" / "job"
    written = copy_template("digits", job)
    names = [".gitignore", "README.md", "cloudtrain.yaml", "data/file", "train.py"]
    assert [str(path.relative_to(job)) for path in written] == names
    assert sorted(str(path.relative_to(job)) for path in job.rglob("*") if path.is_file()) == names
    assert (job / "train.py").read_bytes() == b"\x00\xff"
    assert os.access(job / "train.py", os.X_OK)
    assert (job / "train.py").stat().st_mode & 0o200
    assert not (job / "README.md").stat().st_mode & 0o111


def test_a_file_in_the_way_stops_it_before_anything_is_written(templates: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    (job / "train.py").write_text("mine")
    with pytest.raises(ConfigError, match="a file is in the way; nothing was written") as caught:
        copy_template("digits", job)
    assert caught.value.file == "job/train.py"
    assert caught.value.hint
    assert [path.name for path in job.iterdir()] == ["train.py"]
    (job / "data").touch()
    (job / "README.md").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"\(and 2 more\)"):
        copy_template("digits", job)
    assert (job / "train.py").read_text() == "mine"


def test_other_files_may_stand_beside(templates: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    (job / "data").mkdir(parents=True)
    (job / "mine.py").touch()
    assert len(copy_template("digits", job)) == 5


def test_a_destination_that_is_or_lies_below_a_file(templates: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for destination in (tmp_path / "file", tmp_path / "file" / "job"):
        with pytest.raises(ConfigError) as caught:
            copy_template("digits", destination)
        assert caught.value.hint
    assert (tmp_path / "file").is_file()


def test_a_disk_that_fills_up_leaves_nothing_half_done(
    templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def full(path: Path) -> bytes:
        if path.name == "train.py":
            raise OSError(28, "No space left on device")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        copy_template("digits", tmp_path / "job")
    assert [path for path in (tmp_path / "job").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["digit", "dig", "../digits", "", "DIGITS"])
def test_an_unknown_template_names_the_nearest_and_all(name: str, templates: Path, tmp_path: Path) -> None:
    for call in (lambda: copy_template(name, tmp_path / "job"), lambda: template_summary(name)):
        with pytest.raises(NotFoundError, match="There is no template named") as caught:
            call()
        assert caught.value.hint.endswith("There are: bare, digits")
        assert ("`digits`" in caught.value.hint) == bool(name)
    assert not (tmp_path / "job").exists()
