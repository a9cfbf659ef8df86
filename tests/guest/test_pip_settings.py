import os

import pytest

from cloudtrain.guest import pip_settings
from cloudtrain.guest.pip_settings import PipSettings


@pytest.fixture
def nothing_told(monkeypatch):
    """A machine on which nobody told pip anything but by the file PIP_CONFIG_FILE names."""
    monkeypatch.setattr(pip_settings, "_files", lambda environ: list(filter(None, [environ.get("PIP_CONFIG_FILE")])))


pytestmark = pytest.mark.usefixtures("nothing_told")


def test_nothing_told_is_nothing_said() -> None:
    settings = PipSettings({})
    assert settings.for_uv() == {}
    assert not settings.name_sources
    assert not settings.forbid_index


def test_what_pip_was_told_is_said_in_uv_s_words(tmp_path) -> None:
    wheels, more = tmp_path / "wheels", tmp_path / "more"
    wheels.mkdir()
    more.mkdir()
    told = {
        "PIP_FIND_LINKS": f"{wheels} {more}",
        "PIP_INDEX_URL": "https://one.invalid/simple",
        "PIP_EXTRA_INDEX_URL": "https://two.invalid/simple\nhttps://three.invalid/simple",
    }
    settings = PipSettings(told)
    assert settings.for_uv() == {
        "UV_FIND_LINKS": f"{wheels},{more}",
        "UV_DEFAULT_INDEX": "https://one.invalid/simple",
        "UV_INDEX": "https://two.invalid/simple https://three.invalid/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert settings.name_sources


def test_paths_where_there_is_nothing_are_left_out(tmp_path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    told = {
        "PIP_FIND_LINKS": f"{tmp_path}/gone {there}",
        "PIP_EXTRA_INDEX_URL": f"file://{tmp_path}/gone/simple {there.as_uri()} https://two.invalid/simple",
        "PIP_CERT": f"{tmp_path}/gone.pem",
    }
    said = PipSettings(told).for_uv()
    assert said["UV_FIND_LINKS"] == str(there)
    assert said["UV_INDEX"] == f"{there.as_uri()} https://two.invalid/simple"
    assert "SSL_CERT_FILE" not in said


@pytest.mark.parametrize(
    ("told", "unsaid"),
    [
        ({"UV_INDEX": "https://own.invalid"}, "UV_INDEX"),
        ({"UV_EXTRA_INDEX_URL": "https://own.invalid"}, "UV_INDEX"),
        ({"UV_DEFAULT_INDEX": "https://own.invalid"}, "UV_DEFAULT_INDEX"),
        ({"UV_INDEX_URL": "https://own.invalid"}, "UV_DEFAULT_INDEX"),
    ],
)
def test_what_uv_was_told_itself_is_left_alone(told, unsaid) -> None:
    pip = {"PIP_INDEX_URL": "https://one.invalid", "PIP_EXTRA_INDEX_URL": "https://two.invalid"}
    settings = PipSettings({**pip, **told})
    assert unsaid not in settings.for_uv()
    assert settings.name_sources


def test_files_are_read_and_the_environment_wins(tmp_path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://global.invalid\nextra_index_url =\n  https://a.invalid\n  https://b.invalid\n"
        "[install]\nindex-url = https://install.invalid\n[wheel]\nno-index = true\n"
    )
    told = {"PIP_CONFIG_FILE": str(file)}
    assert PipSettings(told).for_uv()["UV_DEFAULT_INDEX"] == "https://install.invalid"
    assert PipSettings(told).for_uv()["UV_INDEX"] == "https://a.invalid https://b.invalid"
    assert not PipSettings(told).forbid_index
    stronger = {**told, "PIP_INDEX_URL": "https://env.invalid", "PIP_NO_INDEX": "1"}
    assert PipSettings(stronger).for_uv()["UV_DEFAULT_INDEX"] == "https://env.invalid"
    assert PipSettings(stronger).forbid_index


def test_damaged_file_is_nothing_told(tmp_path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("index-url without a section\n")
    assert PipSettings({"PIP_CONFIG_FILE": str(file)}).for_uv() == {}


def test_no_file_is_read_when_pip_shall_read_none(monkeypatch) -> None:
    monkeypatch.undo()
    assert pip_settings._files({"PIP_CONFIG_FILE": os.devnull}) == []
    assert "/etc/pip.conf" in pip_settings._files({}) or os.uname().sysname == "Darwin"


def test_sources_say_where_packages_come_from(tmp_path) -> None:
    told = {
        "PIP_INDEX_URL": "https://me:word@one.invalid/simple",
        "PIP_EXTRA_INDEX_URL": "https://two.invalid/simple",
        "UV_INDEX": "https://three.invalid/simple",
        "PIP_CONSTRAINT": "limits.txt",
        "PIP_TIMEOUT": "7",
    }
    (tmp_path / "limits.txt").write_text("torch<3")
    sources = PipSettings(told).sources(str(tmp_path))
    assert sources["index-url"] == [["https://one.invalid/simple", ""]]
    assert sources["extra-index-url"] == [["https://two.invalid/simple", ""]]
    assert sources["UV_INDEX"] == [["https://three.invalid/simple", ""]]
    assert set(sources) == {"index-url", "extra-index-url", "UV_INDEX", "constraint"}
    (tmp_path / "limits.txt").write_text("torch<2")
    assert PipSettings(told).sources(str(tmp_path))["constraint"] != sources["constraint"]


def test_sources_change_with_what_lies_in_find_links(tmp_path) -> None:
    settings = PipSettings({"PIP_FIND_LINKS": "wheels"})
    (tmp_path / "wheels").mkdir()
    empty = settings.sources(str(tmp_path))
    (tmp_path / "wheels" / "a-1-py3-none-any.whl").touch()
    assert settings.sources(str(tmp_path)) != empty
