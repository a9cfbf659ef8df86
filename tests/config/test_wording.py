"""What a person most likely meant, and how a value is shown to them."""

from pathlib import Path

import pytest

from cloudtrain.config.wording import found, nearest, shown_path

NAMES = ("digits-tensorflow", "digits-pytorch", "notebook")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("notebok", "notebook"),
        ("NOTEBOOK", "notebook"),
        ("digits", "digits-pytorch"),
        ("dig", "digits-pytorch"),
        ("di", None),
        ("", None),
        ("zzz", None),
    ],
)
def test_the_nearest_word_or_one_that_was_begun(word: str, meant: str | None) -> None:
    assert nearest(word, NAMES) == meant


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a", '"a"'),
        ("", "nothing"),
        (None, "nothing"),
        (True, "true"),
        ({}, "a group of settings"),
        ((), "a list"),
        (1.5, "1.5"),
    ],
)
def test_a_value_is_named_as_in_the_file(value: object, words: str) -> None:
    assert found(value) == words


def test_a_path_is_relative_only_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert shown_path(here / "a" / "b") == "a/b"
    assert shown_path(Path("a")) == "a"
    assert shown_path(tmp_path / "there") == str(tmp_path / "there")
