"""The person's own settings: read, told precisely when wrong, written without touching anything else."""

import os
from pathlib import Path

import pytest

from cloudtrain.config.settings import Settings, load_settings, save_monthly_budget, settings_file
from cloudtrain.model.errors import ConfigError


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(tmp_path / "home"))
    return settings_file()


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_a_file_there_is_no_cap_and_looking_makes_none(file: Path, tmp_path: Path) -> None:
    assert load_settings() == Settings(None)
    assert file == tmp_path / "home/config/settings.yaml"
    assert not file.parent.exists()


@pytest.mark.parametrize("text", ["50", "50.00", "$50", '"50"'])
def test_an_amount_as_people_write_it(file: Path, text: str) -> None:
    write(file, f"monthly_budget: {text}\n")
    assert load_settings() == Settings(50.0)


BROKEN = {
    "typo": ("# mine\nmonthly_buget: 5\n", 2, "monthly_buget", "no setting", "`monthly_budget`"),
    "empty": ("monthly_budget:\n", 1, "monthly_budget", "found nothing", "5.00"),
    "zero": ("monthly_budget: 0\n", 1, "monthly_budget", "more than zero", "Leave it out"),
    "words": ("monthly_budget: plenty\n", 1, "monthly_budget", 'found "plenty"', "with a point"),
    "twice": ("monthly_budget: 5\nmonthly_budget: 6\n", 2, "monthly_budget", "lines 1 and 2", "Keep one"),
    "list": ("- 5\n", 1, "", "found a list", "key: value"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_told_with_file_line_field_and_hint_and_never_written_over(file: Path, name: str) -> None:
    text, line, field, message, hint = BROKEN[name]
    write(file, text)
    for use in (load_settings, lambda: save_monthly_budget("7")):
        with pytest.raises(ConfigError) as told:
            use()
        assert (told.value.file, told.value.line, told.value.field) == (str(file), line, field)
        assert message in told.value.message
        assert hint in told.value.hint
    assert file.read_text() == text


def test_a_new_file_says_what_it_is_and_others_settings_are_not_touched(file: Path) -> None:
    assert save_monthly_budget("$12.5") == Settings(12.5)
    first, second = file.read_text().splitlines()
    assert first.startswith("# ")
    assert second == "monthly_budget: 12.50"
    assert load_settings() == Settings(12.5)
    assert [path.name for path in file.parent.iterdir()] == ["settings.yaml"]


def test_comments_stay_where_they_are(file: Path) -> None:
    write(file, "# told by the lab\n\nmonthly_budget: 50  # until June\n# end")
    save_monthly_budget("75")
    assert file.read_text() == "# told by the lab\n\nmonthly_budget: 75.00  # until June\n# end"
    save_monthly_budget(None)
    assert file.read_text() == "# told by the lab\n\n# end"
    save_monthly_budget("1")
    assert file.read_text() == "# told by the lab\n\n# end\nmonthly_budget: 1.00\n"


@pytest.mark.parametrize("text", ["monthly_budget:\n  50\n", "{monthly_budget: 50}\n", "{}\n", "{monthly_budget:\n 50}\n"])
def test_a_file_that_bears_no_exchange_of_a_line_is_written_anew(file: Path, text: str) -> None:
    write(file, text)
    save_monthly_budget("60")
    assert load_settings() == Settings(60.0)
    save_monthly_budget(None)
    assert load_settings() == Settings(None)


def test_an_amount_below_a_cent_is_kept_whole(file: Path) -> None:
    save_monthly_budget("0.125")
    assert load_settings() == Settings(0.125)


def test_an_amount_that_is_none_names_the_flag_and_writes_nothing(file: Path) -> None:
    with pytest.raises(ConfigError) as told:
        save_monthly_budget("lots")
    assert told.value.field == "--monthly-budget"
    assert not file.exists()


def test_taking_the_cap_out_of_no_file_makes_none(file: Path) -> None:
    assert save_monthly_budget(None) == Settings(None)
    assert not file.exists()


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    write(tmp_path / "dotfiles" / "cloudtrain.yaml", "monthly_budget: 5\n")
    file.parent.mkdir(parents=True)
    file.symlink_to(tmp_path / "dotfiles" / "cloudtrain.yaml")
    save_monthly_budget("6")
    assert file.is_symlink()
    assert (tmp_path / "dotfiles" / "cloudtrain.yaml").read_text() == "monthly_budget: 6.00\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, "monthly_budget: 5\n")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ConfigError, match="No space left") as told:
        save_monthly_budget("6")
    assert told.value.file == str(file)
    assert [path.name for path in file.parent.iterdir()] == ["settings.yaml"]
    assert load_settings() == Settings(5.0)
