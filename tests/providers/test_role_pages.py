"""The roles on the pages of Azure and Google Cloud are those that the code needs, written by a script."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LEFT_OUT = {"azure": '    "Microsoft.Compute/disks/write",\n', "gcp": "- compute.instances.create\n"}


@pytest.fixture(params=sorted(LEFT_OUT))
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(cloud: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)  # as when Python runs the script
    spec = importlib.util.spec_from_file_location(f"generate_{cloud}_role", SCRIPTS / f"generate_{cloud}_role.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PAGE


def test_the_page_is_up_to_date(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert page.main(["--check"], "usage") == 0, capsys.readouterr().err


def test_a_stale_page_is_told_and_written(cloud: str, page: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = replace(page, path=tmp_path / page.path.name)
    whole = page.path.read_text()
    stale.path.write_text(whole.replace(LEFT_OUT[cloud], ""))
    assert stale.main(["--check"], "usage") == 1
    assert f"{cloud}.md is stale: run python scripts/generate_{cloud}_role.py" in capsys.readouterr().err
    assert stale.main([], "usage") == 0
    assert stale.path.read_text() == whole
    assert stale.main(["--chekc"], "usage") == 2
    stale.path.write_text("no place\n")
    with pytest.raises(ValueError, match="has no place for role"):
        stale.main([], "usage")
