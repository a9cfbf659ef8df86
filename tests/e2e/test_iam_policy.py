"""The policies on docs/providers/aws.md are those of the calls that are made, and no broader."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_iam_policy", ROOT / "scripts" / "generate_iam_policy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")  # as when Python runs the script
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def blocks(script: ModuleType) -> dict[str, str]:
    return dict(script.blocks())


def document(blocks: dict[str, str], name: str) -> dict[str, Any]:
    return dict(json.loads(blocks[name].removeprefix("```json\n").removesuffix("\n```")))


def test_the_page_is_up_to_date(
    script: ModuleType, blocks: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "blocks", lambda: blocks)
    assert script.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_page_is_told_and_written(
    script: ModuleType,
    blocks: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "aws.md"
    page.write_text(script.PAGE.read_text().replace("ec2:TerminateInstances", "ec2:EndInstances"))
    monkeypatch.setattr(script, "PAGE", page)
    monkeypatch.setattr(script, "blocks", lambda: blocks)
    assert script.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    assert script.main(["--chekc"]) == 2
    page.write_text("no place\n")
    with pytest.raises(ValueError, match="no place for policy"):
        script.main([])


def test_nothing_is_changed_that_is_not_ours(blocks: dict[str, str]) -> None:
    for statement in document(blocks, "policy")["Statement"]:
        for action in [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]:
            reads = re.fullmatch(r"\w+:(Describe|Get|List)\w+", action)
            assert "*" not in action
            assert reads or action == "ec2:CreateSecurityGroup" or "Condition" in statement or statement["Resource"] != "*", (
                action
            )


def test_every_action_that_is_called_is_allowed(script: ModuleType, blocks: dict[str, str]) -> None:
    allowed = {
        action
        for name in ("policy", "set-up policy", "network policy", "S3 policy")
        for statement in document(blocks, name)["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    called = set(re.findall(r"`(\w+:\w+)`", blocks["calls"]))
    assert {
        "ec2:RunInstances",
        "ec2:TerminateInstances",
        "scheduler:CreateSchedule",
        "ec2:CancelSpotInstanceRequests",
    } <= called
    assert called - allowed == set()
    in_other_calls = {"iam:PassRole", "iam:CreateServiceLinkedRole", "iam:TagRole", "iam:TagInstanceProfile"}
    assert allowed - called == in_other_calls


def test_an_action_that_nobody_has_thought_about_ends_the_script(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="ec2:DeleteVpc"):
        script.statements({"ec2:DeleteVpc", "ec2:RunInstances"})
