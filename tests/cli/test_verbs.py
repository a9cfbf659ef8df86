"""Every verb has its file, its line of help and examples that parse."""

import shlex
from pathlib import Path

import pytest

from cloudtrain.cli import verbs
from cloudtrain.cli.verb import load_verb
from cloudtrain.cli.verbs import VERBS

from .conftest import Cli

FILES = {path.stem.replace("_", "-") for path in Path(verbs.__file__).parent.glob("*.py")} - {"--init--"}


def test_the_table_names_the_files() -> None:
    assert set(VERBS) == FILES


@pytest.mark.parametrize("name", VERBS)
def test_the_table_says_what_the_verb_says_of_itself(name: str) -> None:
    assert load_verb(name).help.splitlines()[0] == VERBS[name]


@pytest.mark.parametrize("name", VERBS)
def test_help_shows_examples(name: str, cli: Cli) -> None:
    said = cli(name, "--help")
    assert said.code == 0
    assert VERBS[name] in said.out
    assert f"  Examples:\n    cloudtrain {name}" in said.out
    assert said.err == ""


@pytest.mark.parametrize("name", VERBS)
def test_examples_parse(name: str) -> None:
    """An option that was renamed is missed here, and not by a person who copies the line."""
    from importlib import import_module

    module = import_module(f"cloudtrain.cli.verbs.{name.replace('-', '_')}")
    lines = [line for whole in module.EXAMPLES.strip().splitlines() for line in whole.split(" && ")]
    tried = 0
    for line in lines:
        words = shlex.split(line.partition(" | ")[0])
        if words[:1] == ["cloudtrain"]:
            verb = load_verb(words[1])
            verb.make_context(words[1], words[2:])
            tried += 1
    assert tried


def test_help_lists_every_verb_with_its_line(cli: Cli) -> None:
    said = cli("--help")
    assert said.code == 0
    for name, help in VERBS.items():
        assert f"  {name:<11} {help}" in said.out


def test_nothing_typed_shows_the_help(cli: Cli) -> None:
    said = cli()
    assert said.code == 2
    assert "Commands:" in said.out + said.err


def test_a_typo_suggests_the_nearest_verb(cli: Cli) -> None:
    said = cli("trian", "aws-p2")
    assert said.code == 2
    assert said.out == ""
    assert "No such command 'trian'. Did you mean 'train'?" in said.err


def test_an_unknown_option_is_bad_input(cli: Cli) -> None:
    said = cli("status", "--loud")
    assert said.code == 2
    assert "No such option: --loud" in said.err


@pytest.mark.parametrize("words", [("version",), ("--version",)])
def test_the_version(words: tuple[str, ...], cli: Cli) -> None:
    from cloudtrain import __version__

    assert cli(*words).out == f"cloudtrain {__version__}\n"


def test_the_version_in_json(cli: Cli) -> None:
    assert set(cli("version", "--json").json) == {"version", "python"}


def test_words_after_dashes_are_a_command_and_no_option_of_ours() -> None:
    verb = load_verb("ssh")
    context = verb.make_context("ssh", ["aws-p2", "--", "ls", "--json", "--", "x"])
    assert context.params == {"name": "aws-p2"}
    from cloudtrain.cli.verb import command_of

    assert command_of(context) == ["ls", "--json", "--", "x"]


def test_dashes_without_a_name_leave_the_name_out() -> None:
    from cloudtrain.cli.verb import command_of

    context = load_verb("ssh").make_context("ssh", ["--", "nvidia-smi"])
    assert context.params == {"name": None}
    assert command_of(context) == ["nvidia-smi"]


def test_the_usage_line_shows_where_a_command_goes(cli: Cli) -> None:
    assert cli("ssh", "--help").out.startswith("Usage: cloudtrain ssh [OPTIONS] [NAME] [-- COMMAND...]\n")
