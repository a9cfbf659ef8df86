"""The verbs that look and spend nothing: init, offers, check, configs, get, plan."""

import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrain import wiring
from cloudtrain.cli import planning
from cloudtrain.model.errors import NotSetUpError
from cloudtrain.model.finding import Finding
from cloudtrain.providers.base import OfferSource, ProviderSettings

from .conftest import Cli, config


def test_init_lists_the_templates(cli: Cli) -> None:
    said = cli("init")
    assert said.code == 0
    assert "digits-tensorflow" in said.out
    assert said.err == "Copy one: cloudtrain init NAME\n"
    listed = cli("init", "--json").json["templates"]
    assert {"name", "summary"} == set(listed[0])
    assert all(template["summary"] for template in listed)


def test_init_copies_a_template_and_says_the_next_two_lines(cli: Cli, desk: Path) -> None:
    said = cli("init", "digits-tensorflow", "my job")
    assert (said.code, said.out) == (0, "cd 'my job'\ncloudtrain train local\n")
    assert (desk / "my job" / "cloudtrain.yaml").is_file()
    again = cli("init", "digits-tensorflow", "my job")
    assert (again.code, again.out) == (2, "")
    assert "a file is in the way" in again.err


def test_init_names_the_folder_like_the_template(cli: Cli, desk: Path) -> None:
    answer = cli("init", "digits-tensorflow", "--json").json
    assert Path(answer["folder"]) == desk / "digits-tensorflow"
    assert (desk / "digits-tensorflow" / "train.py").is_file()


def test_init_of_an_unknown_template_is_bad_input(cli: Cli) -> None:
    said = cli("init", "digits-tensorflwo")
    assert said.code == 2
    assert "Did you mean `digits-tensorflow`?" in said.err


def test_offers_are_cheapest_first_and_dated(cli: Cli) -> None:
    offers = cli("offers", "--provider", "aws", "--gpus", "1", "--limit", "50", "--json").json["offers"]
    prices = [offer["usd_per_hour"] for offer in offers]
    assert len(offers) == 50
    assert prices == sorted(prices)
    assert all(offer["gpu_count"] >= 1 and offer["priced_on"] for offer in offers)


def test_offers_are_held_to_what_was_asked(cli: Cli) -> None:
    words = ("--gpu", "t4", "--market", "spot", "--max-price", "0.5", "--memory", "16", "--gpu-memory", "16", "--json")
    offers = cli("offers", *words).json["offers"]
    assert offers
    assert {offer["gpu"] for offer in offers} == {"T4"}
    assert {offer["market"] for offer in offers} == {"spot"}
    assert max(offer["usd_per_hour"] for offer in offers) <= 0.5
    assert min(offer["memory_gib"] for offer in offers) >= 16


def test_offers_sorted_by_price_per_gpu(cli: Cli) -> None:
    offers = cli("offers", "--gpus", "1", "--sort", "price-per-gpu", "--limit", "100", "--json").json["offers"]
    each = [offer["usd_per_hour"] / offer["gpu_count"] for offer in offers]
    assert each == sorted(each)
    assert max(offer["gpu_count"] for offer in offers) > 1


def test_made_up_offers_are_shown_only_to_who_asks_for_them(cli: Cli) -> None:
    everything = cli("offers", "--limit", "100000", "--json").json["offers"]
    assert "memory" not in {offer["provider"] for offer in everything}
    assert {offer["provider"] for offer in cli("offers", "--provider", "memory", "--json").json["offers"]} == {"memory"}


def test_offers_say_how_many_more_there_are(cli: Cli) -> None:
    said = cli("offers", "--provider", "memory", "--limit", "1")
    assert said.out.splitlines()[0].split() == ["PROVIDER", "TYPE", "WHERE", "MARKET", "HARDWARE", "$/H", "PRICE", "OF"]
    assert len(said.out.splitlines()) == 2
    assert said.err == "… and 7 more: --limit 8\n"


def test_no_offer_says_so(cli: Cli) -> None:
    assert cli("offers", "--provider", "memory", "--gpus", "64").out == "Nothing fits.\n"


def test_offers_of_an_unknown_provider_are_bad_input(cli: Cli) -> None:
    said = cli("offers", "--provider", "asw")
    assert said.code == 2
    assert "Did you mean aws?" in said.err


def test_check_looks_at_this_computer_and_at_every_provider_in_short(cli: Cli) -> None:
    said = cli("check")
    assert said.code == 0
    for subject in ("python", "ssh", "uv", "disk", "ledger", "clock", "aws", "azure", "gcp", "local", "memory"):
        assert f"  {subject} " in said.out


def test_a_provider_in_short_is_one_finding() -> None:
    from cloudtrain.cli.doctor import in_short

    fine, wanting = Finding(True, "sdk", "installed"), Finding(False, "credentials", "none", "aws configure")
    assert in_short("aws", (fine,)) == Finding(True, "aws", "ready")
    assert in_short("aws", (fine, wanting, wanting)) == Finding(
        False, "aws", "credentials, credentials", "cloudtrain check aws"
    )


def test_check_of_one_provider_is_an_exit_code(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("check", "memory").code == 0
    monkeypatch.setattr("cloudtrain.providers.memory.MemoryProvider.check", lambda _: (Finding(False, "quota", "0", "Ask."),))
    said = cli("check", "memory")
    assert (said.code, said.out) == (3, "memory\n✗ not ok  quota  0\n                 Ask.\n")


def test_check_in_json(cli: Cli) -> None:
    answer = cli("check", "memory", "--json").json
    assert answer["computer"] == []
    assert set(answer["providers"]["memory"][0]) == {"ok", "subject", "message", "hint"}


def test_check_of_a_damaged_ledger_says_what_to_type(home: Path, cli: Cli) -> None:
    home.mkdir()
    (home / "ledger.sqlite3").write_bytes(b"no database at all" * 100)
    said = cli("check")
    assert said.code == 0
    assert "✗ not ok  ledger" in said.out
    assert "Move it away: mkdir " in said.out


def test_configs_lists_what_can_be_named_and_does_not_hide_a_broken_one(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]", "market: spot", "description: A pretend machine")
    config("bad", "provider: memory", "colour: blue")
    said = cli("configs")
    assert said.code == 0
    (line,) = (line for line in said.out.splitlines() if line.startswith("pretend "))
    assert "1 × PRETEND 16 GiB, 8 CPUs, 32 GiB" in line
    assert "$0.333" in line
    assert line.endswith("A pretend machine")
    assert "warning: bad cannot be used: " in said.err
    assert "colour" in said.err


def test_configs_in_json(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    config("bad", "provider: memory", "colour: blue")
    answer = cli("configs", "--json").json
    (pretend,) = (entry for entry in answer["configs"] if entry["name"] == "pretend")
    assert pretend["offer"]["usd_per_hour"] == 1.0
    assert [entry["name"] for entry in answer["broken"]] == ["bad"]


def test_get_shows_what_would_be_rented(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    said = cli("get", "pretend")
    assert said.code == 0
    assert said.out.startswith("There is no machine pretend now.")
    assert "mem.gpu" in said.out
    assert "Lease: the machine ends by " in said.out
    view = cli("get", "--json")
    assert view.err == "pretend (the last one used)\n"
    assert view.json["instance"] is None
    assert view.json["plan"]["attempts"]


def test_get_of_an_unknown_name_is_bad_input(cli: Cli) -> None:
    assert cli("get", "no-such-machine").code == 2


def test_plan_shows_prices_deadline_cost_and_what_would_travel(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    (desk / "cloudtrain.yaml").write_text("command: python train.py\ninputs: [train.py]\n")
    (desk / "train.py").write_text("x" * 2000)
    said = cli("plan", "pretend", "--budget", "0.50")
    assert said.code == 0
    first = said.out.splitlines()[1]
    assert first.split()[:4] == ["1", "mem.gpu", "mem-1", "on-demand"]
    assert "$1.000" in first
    assert first.endswith("$0.5000")
    assert "(in 30 m 0 s), set by the budget of $0.5000" in said.out or "(in 29 m" in said.out
    assert "Upload: 1 file, 2.0 kB\n" in said.out


def test_plan_looks_at_what_the_job_has_in_object_storage(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    (desk / "cloudtrain.yaml").write_text("command: 'true'\noutputs: [results/]\ncheckpoints: az://digits/data/runs/\n")
    refused = cli("plan", "pretend")
    assert (refused.code, "az://digits/data/runs/" in refused.err) == (2, True)


def test_plan_says_what_a_launch_makes_for_checkpoints_and_what_the_way_of_inputs_costs(
    desk: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    monkeypatch.setattr(planning, "look_at_storage", lambda *_: (("A launch makes a role.",), 1.25))
    said = cli("plan", "pretend", "--", "true")
    assert said.code == 0
    assert said.out.endswith("A launch makes a role.\nIts way to the machine costs up to $1.25, off the budget.\n")


def test_a_plan_is_made_without_an_account_too(desk: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")

    def not_set_up(*_: object) -> None:
        raise NotSetUpError("no credentials")

    monkeypatch.setattr(planning, "look_at_storage", not_set_up)
    assert cli("plan", "pretend", "--", "true").code == 0


@pytest.mark.parametrize("words", [("plan", "pretend", "--", "true"), ("get", "pretend"), ("status",)])
def test_what_a_provider_says_beside_its_answer_is_told_once_and_apart_from_it(
    desk: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    assert cli("get", "pretend").code == 0
    real = wiring.open_provider

    def talkative(name: str, settings: ProviderSettings) -> OfferSource:
        settings.say("the prices are old")
        return real(name, settings)

    monkeypatch.setattr(wiring, "open_provider", talkative)
    said = cli(*words)
    assert (said.code, said.err.count("the prices are old")) == (0, 1)
    assert "the prices are old" not in said.out


def test_plan_in_json_is_what_a_dry_run_says(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    (desk / "train.py").write_text("pass")
    words = ("pretend", "--max-lifetime", "2h", "--market", "spot", "--json", "--", "python", "train.py")
    plan = cli("plan", *words).json
    assert {attempt["offers"][0]["market"] for attempt in plan["attempts"]} == {"spot"}
    assert plan["attempts"][0]["lease"]["bound_by"] == "max_lifetime"
    assert set(plan["upload"]) == {"files", "bytes"}
    dry = cli("train", "--dry-run", *words).json
    assert dry.keys() == plan.keys()
    assert dry["upload"] == plan["upload"]
    assert not (desk / "runs").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--sample", "0"), "--sample 0: expected a fraction above 0 and at most 1"),
        (("--sample", "1.1"), "--sample 1.1"),
        (("--env", "NOVALUE"), "--env NOVALUE: expected NAME=VALUE"),
        (("--env", "A.B=1"), "--env A.B=1"),
        (("--on-finish", "explode"), "--on-finish"),
        (("--max-lifetime", "soon"), "length of time"),
        (("--framework", "torch"), "--framework"),
        (("--gpus", "-1"), "--gpus"),
    ],
)
def test_a_flag_that_cannot_be_read_is_bad_input(words: tuple[str, ...], what: str, desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.gpu]")
    said = cli("plan", "pretend", *words, "--", "true")
    assert (said.code, said.out) == (2, "")
    assert what in said.err


def test_a_sample_and_variables_reach_the_job() -> None:
    from cloudtrain.cli.job_flags import JobFlags

    settings = JobFlags(sample=0.25, env=("EPOCHS=5", "URL=a=b")).overrides()
    assert settings == {"env.CLOUDTRAIN_SAMPLE": "0.25", "env.EPOCHS": "5", "env.URL": "a=b"}


def test_one_word_after_dashes_is_shell_text_and_several_are_quoted() -> None:
    from cloudtrain.cli.job_flags import shell_text

    assert shell_text(["python a.py && python b.py"]) == "python a.py && python b.py"
    assert shell_text(["python", "a b.py"]) == "python 'a b.py'"
    assert shell_text([]) is None


def test_tables_on_a_terminal_take_markup_as_data() -> None:
    from .terminal import Terminal

    rows = [("[red]x[/]", ":smile:"), ("\x1b[2J", "1")]
    code = f"from cloudtrain.cli.tables import table; table(('A', 'B'), {rows!r}, right=('B',))"
    with Terminal(["-c", code], {"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 0
        assert "[red]x[/]  :smile:" in terminal.text
        assert "�[2J" in terminal.text


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "cloudtrain", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("cloudtrain ")
