"""Where cloudtrain keeps its things, and that asking costs nothing."""

import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from cloudtrain.config.folders import cache_folder, state_folder, user_config_folder


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDTRAIN_HOME", raising=False)
    monkeypatch.delenv("CLOUDTRAIN_CACHE", raising=False)


def test_without_variables_the_user_s_own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (
        platformdirs.user_state_path("cloudtrain", appauthor=False),
        platformdirs.user_cache_path("cloudtrain", appauthor=False),
        platformdirs.user_config_path("cloudtrain", appauthor=False),
    )
    assert (state_folder(), cache_folder(), user_config_folder()) == expected
    monkeypatch.setenv("CLOUDTRAIN_HOME", "")
    monkeypatch.setenv("CLOUDTRAIN_CACHE", "")
    assert (state_folder(), cache_folder(), user_config_folder()) == expected


def test_home_holds_everything_and_the_cache_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(home))
    assert (state_folder(), cache_folder(), user_config_folder()) == (home, home / "cache", home / "config")
    monkeypatch.setenv("CLOUDTRAIN_CACHE", str(tmp_path / "cache"))
    assert (state_folder(), cache_folder(), user_config_folder()) == (home, tmp_path / "cache", home / "config")
    assert not home.exists()
    assert not (tmp_path / "cache").exists()


def test_a_relative_home_is_made_absolute_and_a_tilde_is_the_person_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTRAIN_HOME", "here")
    assert state_folder() == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDTRAIN_HOME", "~/there")
    assert state_folder() == tmp_path / "there"


def test_what_the_fast_verbs_import_loads_no_parser(tmp_path: Path) -> None:
    program = """
import sys
import cloudtrain.config, cloudtrain.config.wording
from cloudtrain.config.assets import template_names, template_summary
from cloudtrain.config.folders import cache_folder, state_folder, user_config_folder
state_folder(), cache_folder(), user_config_folder()
[template_summary(name) for name in template_names()]
print(*sorted({"pydantic", "pydantic_core", "yaml", "platformdirs", "difflib", "shutil"} & set(sys.modules)), sep=",")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"CLOUDTRAIN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"
