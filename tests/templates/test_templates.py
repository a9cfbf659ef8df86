"""The job templates: whole, consistent with themselves, and dependent on nothing they do not carry.

That they train is shown by scripts/build, which has the frameworks.
"""

import ast
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import yaml

from cloudtrain.model.spec import Framework, OnFinish

ROOT = Path(__file__).parents[2] / "templates"
TEMPLATES = sorted(folder.name for folder in ROOT.iterdir() if folder.is_dir())
KEYS = {"name", "framework", "command", "inputs", "requirements", "outputs", "resources", "budget", "max_lifetime"} | {
    "idle_timeout",
    "on_finish",
    "env",
    "secrets",
}
FRAMEWORK_PACKAGES = {
    "tensorflow",
    "tensorflow-cpu",
    "tf-nightly",
    "keras",
    "keras-nightly",
    "torch",
    "torchvision",
    "jax",
    "jaxlib",
}
# What would reach out of the machine while the job runs.
FETCHING = {
    "urllib",
    "requests",
    "httpx",
    "http",
    "socket",
    "ftplib",
    "wget",
    "boto3",
    "huggingface_hub",
    "tensorflow_datasets",
}
FETCHING_CALLS = {"get_file", "fetch_openml", "urlretrieve", "urlopen", "load_state_dict_from_url", "download"}

template = pytest.mark.parametrize("name", TEMPLATES)


def spec_of(name: str) -> dict[str, object]:
    spec = yaml.safe_load((ROOT / name / "cloudtrain.yaml").read_text(encoding="utf-8"))
    assert isinstance(spec, dict)
    return spec


def scripts_of(name: str) -> list[Path]:
    return sorted((ROOT / name).rglob("*.py"))


def sources_of(name: str) -> Iterator[tuple[str, str]]:
    for path in scripts_of(name):
        yield path.name, path.read_text(encoding="utf-8")
    for path in (ROOT / name).glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        yield path.name, "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def requirement_names(name: str) -> list[str]:
    lines = (ROOT / name / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [re.split(r"[<>=!~\[; ]", line)[0] for line in lines if line and not line.startswith("#")]


def test_the_five_templates_are_there() -> None:
    assert TEMPLATES == ["digits-pytorch", "digits-tensorflow", "notebook", "series-tensorflow", "transfer-keras"]


@template
def test_a_template_has_its_files(name: str) -> None:
    for file in ("README.md", "cloudtrain.yaml", "requirements.txt", ".cloudtrainignore"):
        assert (ROOT / name / file).is_file(), file


@template
def test_the_job_file_says_only_what_a_job_file_may_say(name: str) -> None:
    spec = spec_of(name)
    assert set(spec) <= KEYS
    assert spec["name"] == name
    assert spec["framework"] in {framework.value for framework in Framework}
    assert spec["on_finish"] in {on_finish.value for on_finish in OnFinish}
    assert isinstance(spec["budget"], float)
    assert 0 < spec["budget"] <= 5
    assert spec["outputs"] == ["results/"]


@template
def test_what_the_job_file_names_exists(name: str) -> None:
    spec = spec_of(name)
    for named in [*spec["inputs"], spec["requirements"]]:
        assert (ROOT / name / named).exists(), named
    interpreter, script, *_ = shlex.split(spec["command"])
    assert interpreter == "python"
    assert (ROOT / name / script).is_file()


@template
def test_requirements_are_bounded_and_bring_no_second_framework(name: str) -> None:
    lines = (ROOT / name / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        assert not line or line.startswith("#") or re.fullmatch(r"[a-z0-9-]+>=[\d.]+,<[\d.]+", line), line
    assert requirement_names(name)
    assert not FRAMEWORK_PACKAGES & set(requirement_names(name))


@template
def test_everything_that_is_imported_is_brought_by_somebody(name: str) -> None:
    brought = {requirement.replace("-", "_") for requirement in requirement_names(name)}
    brought |= {path.stem for path in scripts_of(name)} | set(sys.stdlib_module_names)
    brought |= {"sklearn"} if "scikit_learn" in brought else set()
    # What these bring along themselves.
    brought |= {"numpy"} if {"scikit_learn"} & brought else set()
    brought |= {"nbformat", "traitlets"} if "nbclient" in brought else set()
    brought |= {
        "tensorflow": {"tensorflow", "keras", "numpy"},
        "keras": {"keras", "tensorflow", "numpy"},
        "pytorch": {"torch"},
    }.get(str(spec_of(name)["framework"]), set())
    for file, source in sources_of(name):
        assert imported_by(source) <= brought, file


@template
def test_nothing_is_fetched_while_the_job_runs(name: str) -> None:
    for file, source in sources_of(name):
        assert not re.search(r"https?://|ftp://|s3://|gs://", source), file
        assert not FETCHING & imported_by(source), file
        called = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
        called |= {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        assert not FETCHING_CALLS & called, file
        assert "imagenet" not in source, file


def imported_by(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@template
def test_scripts_are_short_typed_and_explained(name: str) -> None:
    assert scripts_of(name)
    for path in scripts_of(name):
        source = path.read_text(encoding="utf-8")
        compile(source, str(path), "exec")
        assert len(source.splitlines()) <= 300
        tree = ast.parse(source)
        assert ast.get_docstring(tree), path.name
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            assert function.returns is not None, f"{path.name}: {function.name}"
            assert (function.end_lineno or 0) - function.lineno < 40, f"{path.name}: {function.name}"


@template
def test_a_first_try_can_be_asked_for_in_both_ways(name: str) -> None:
    script = shlex.split(str(spec_of(name)["command"]))[1]
    source = (ROOT / name / script).read_text(encoding="utf-8")
    assert '"--sample"' in source
    assert 'os.environ.get("CLOUDTRAIN_SAMPLE") or "1"' in source


@template
@pytest.mark.parametrize(
    ("text", "accepted"), [("1", True), ("0.1", True), ("0", False), ("-1", False), ("1.5", False), ("nan", False)]
)
def test_a_sample_is_a_part_of_the_whole(name: str, text: str, accepted: bool) -> None:
    script = shlex.split(str(spec_of(name)["command"]))[1]
    fraction = function_of(ROOT / name / script, "fraction")
    if accepted:
        assert float(fraction(text)) == float(text)
    else:
        with pytest.raises(Exception, match="not above 0"):
            fraction(text)


def function_of(script: Path, name: str) -> object:
    """Take one function out of a script, whose imports need a framework that is not installed here."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    scope: dict[str, object] = {"argparse": __import__("argparse")}
    exec(compile(ast.Module(wanted, []), str(script), "exec"), scope)
    return scope[name]


@template
def test_the_readme_begins_with_one_sentence_that_says_it_all(name: str) -> None:
    title, summary, *rest = [line for line in (ROOT / name / "README.md").read_text(encoding="utf-8").splitlines() if line]
    assert title == f"# {name}"
    assert re.fullmatch(r"[A-Z][^.!?]+\.", summary)
    assert len(summary) <= 100
    headings = [line.removeprefix("## ") for line in rest if line.startswith("## ")]
    assert headings == ["Run it", "What comes back", "What to change"]


@template
def test_the_readme_names_files_and_functions_that_exist(name: str) -> None:
    readme = (ROOT / name / "README.md").read_text(encoding="utf-8")
    sources = "".join(source for _, source in sources_of(name))
    for function in set(re.findall(r"`([a-z]+_[a-z_]+)`", readme)) - KEYS:
        assert re.search(rf"\b{function}\b", sources), function
    for option in re.findall(r"`(--[a-z-]+)", readme):
        assert f'"{option}"' in sources, option
    for file in re.findall(r"`((?:data/)?[a-z_]+\.py)`", readme):
        assert (ROOT / name / file).is_file(), file
    for result in re.findall(r"^\| `([a-z_.]+)/?` \|", readme, re.MULTILINE):
        assert f'"{result}"' in sources or (ROOT / name / result).is_file(), result


@template
def test_nothing_that_a_run_leaves_is_kept_with_the_template(name: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--cached", "--exclude-standard", "."], cwd=ROOT / name, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [Path(file) for file in listed.stdout.split("\n") if file]
    assert not [file for file in files if file.parts[0] in ("results", "runs") or "__pycache__" in file.parts]
    assert sum((ROOT / name / file).stat().st_size for file in files) < 200_000


def test_the_prices_are_what_their_script_makes(tmp_path: Path) -> None:
    data = ROOT / "series-tensorflow" / "data"
    script = tmp_path / "make_prices.py"
    script.write_bytes((data / "make_prices.py").read_bytes())
    subprocess.run([sys.executable, script], check=True)
    assert (tmp_path / "prices.csv").read_bytes() == (data / "prices.csv").read_bytes()


def test_the_prices_are_called_synthetic_where_a_person_reads_first() -> None:
    readme = (ROOT / "series-tensorflow" / "README.md").read_text(encoding="utf-8")
    assert readme.index("The prices are synthetic") < readme.index("## Run it")


def test_the_last_price_cannot_foresee_the_week_and_a_weekday_can() -> None:
    """What the README promises the network can find is in the data, and found by the plainest means there are."""
    spec = importlib.util.spec_from_file_location("make_prices", ROOT / "series-tensorflow" / "data" / "make_prices.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    days = list(module.prices())
    pairs = list(pairwise(days))
    last_price = sum(abs(after - before) for (_, before), (_, after) in pairs)
    weekday = sum(
        abs(after - before * (1 + module.WEEK[day.weekday()] - module.WEEK[previous.weekday()]))
        for (previous, before), (day, after) in pairs
    )
    assert weekday < 0.7 * last_price


def test_the_notebook_is_valid_clean_and_writes_what_the_others_write() -> None:
    path = ROOT / "notebook" / "train.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    source = dict(sources_of("notebook"))["train.ipynb"]
    assert 'os.environ.get("CLOUDTRAIN_SAMPLE") or 1' in source
    assert '"metrics.jsonl"' in source
    assert '"metrics.json"' in source


class Callback:
    """What keras.callbacks.Callback is to a callback that only writes."""


@pytest.mark.parametrize(
    ("name", "script"), [("digits-tensorflow", "train.py"), ("series-tensorflow", "train.py"), ("transfer-keras", "metrics.py")]
)
def test_a_line_of_metrics_is_on_disk_when_its_epoch_ends(tmp_path: Path, name: str, script: str) -> None:
    tree = ast.parse((ROOT / name / script).read_text(encoding="utf-8"))
    wanted = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "MetricsLog"]
    keras = type("keras", (), {"callbacks": type("callbacks", (), {"Callback": Callback})})
    scope: dict[str, object] = {"keras": keras, "json": json, "math": __import__("math"), "Path": Path}
    exec(compile(ast.Module(wanted, []), script, "exec"), scope)
    log = scope["MetricsLog"](tmp_path / "metrics.jsonl")
    log.on_epoch_end(0, {"loss": 0.123456789, "accuracy": float("nan")})
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        {"epoch": 1, "loss": 0.123457}
    ]
    log.on_epoch_end(1, {"loss": 2})
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2
