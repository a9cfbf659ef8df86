"""Every way to get cloudtrain.yaml wrong that we know of, and what the person is told."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtrain.config.job import load_job
from cloudtrain.config.yaml_file import MAX_BYTES, MAX_DEPTH, MAX_SETTINGS
from cloudtrain.model.errors import ConfigError

RUN = "command: python train.py\n"

# name: (text of the file, line, field, words of the message, words of the hint)
BROKEN: dict[str, tuple[str | bytes, int | None, str, str, str]] = {
    # YAML
    "tab": ("command: x\nresources:\n\tgpus: 1\n", 3, "", "a tab", "spaces"),
    "two colons": ("command: a: b\n", 1, "", "second colon", "quotes"),
    "no colon": ("command: x\nbudget 5\n", 2, "", "no colon", "key: value"),
    "indentation": ("resources:\n  gpus: 1\n cpus: 2\n", 3, "", "indentation", "alike"),
    "open bracket": ("command: x\ninputs: [a, b\nbudget: 5\n", 2, "", "bracket", "[a, b]"),
    "open quote": ('command: "x\nbudget: 5\n', 1, "", "never closed", "Close"),
    "odd start": ("command: @x\n", 1, "", "keeps for itself", "quotes"),
    "unknown escape": ('command: "\\q"\n', 1, "", "backslash", "single quotes"),
    "no such character": ('command: "\\UFFFFFFFF"\n', 1, "", "not valid YAML", "quotes"),
    "star": (f"{RUN}outputs: [*.h5]\n", 2, "", "`*`", "quotes"),
    "alias": (f"{RUN}name: *x\n", 2, "name", "aliases", "quotes"),
    "anchor": (f"{RUN}env: &e\n  A: 1\n", 2, "env", "anchors", "Remove"),
    "anchor on a key": (f"{RUN}&e env: {{}}\n", 2, "", "anchors", "Remove"),
    "merge key": (f"{RUN}env:\n  <<: {{A: 1}}\n", 3, "env", "merge keys", "Write the settings out"),
    "python tag": (f"{RUN}name: !!python/object/apply:os.system [id]\n", 2, "name", "tags", "Remove"),
    "own tag": (f"{RUN}name: !x y\n", 2, "name", "tags", "Remove"),
    "tag on all": ("!!map\ncommand: x\n", 1, "", "tags", "Remove"),
    "two documents": (f"{RUN}---\nname: x\n", 2, "", "second document", "---"),
    "a list": ("- command: x\n", 1, "", "found a list", "key: value"),
    "a word": ("\n\ntrain\n", 3, "", 'found "train"', "key: value"),
    "twice": (f"budget: 5\n{RUN}budget: 6\n", 3, "budget", "lines 1 and 3", "Keep one"),
    "twice inside": (f"{RUN}env:\n  A: 1\n  A: 2\n", 4, "env.A", "lines 3 and 4", "Keep one"),
    "number as key": (f"{RUN}5: x\n", 2, "", "a key must be text, found 5", "Name the setting"),
    "number as name": (f"{RUN}env:\n  1e3: x\n", 3, "env", "a key must be text, found 1e3", "Name"),
    "truth as key": (f"{RUN}env: {{true: x}}\n", 2, "env", "a key must be text, found true", "Name"),
    "nothing as key": (f"{RUN}env: {{~: x}}\n", 2, "env", "a key must be text", "Name"),
    "list as key": ("? [a]\n: x\n", 1, "", "a key must be text", "key: value"),
    "too deep": (f"{RUN}env: {'[' * 50}\n", 2, "env" + "[0]" * (MAX_DEPTH - 1), f"more than {MAX_DEPTH}", "three"),
    "too many": (
        "".join(f"k{i}: x\n" for i in range(MAX_SETTINGS + 9)),
        MAX_SETTINGS + 1,
        "",
        "more than 10,000",
        "right file",
    ),
    "too large": ("#" * (MAX_BYTES + 1), None, "", "larger than 1 MiB", "right file"),
    "NUL": ("command: x\nname: a\0b\n", 2, "", "control character", "Remove"),
    "bell": ("command: x\n# \a\n", 2, "", "control character", "Remove"),
    "latin-1": (b"command: x\n# caf\xe9\n", 2, "", "byte 16 is not UTF-8", "UTF-8"),
    "utf-16": ("command: x\n".encode("utf-16"), 1, "", "byte 0 is not UTF-8", "UTF-8"),
    # shape
    "empty": ("", None, "command", "is needed", "command: python"),
    "only a comment": ("# nothing yet\n", None, "command", "is needed", "command: python"),
    "empty command": ("command:\n", 1, "command", "is needed", "command: python"),
    "blank command": ('command: " "\n', 1, "command", "expected text", "command: python"),
    "command as list": ("command: [python, train.py]\n", 1, "command", "found a list", "command: python"),
    "typo": (f"{RUN}buget: 5\n", 2, "buget", 'no setting named "buget"', "`budget`"),
    "typo in a group": (f"{RUN}resources:\n  gpu_mem_gb: 4\n", 3, "resources.gpu_mem_gb", "no setting", "`gpu_memory_gb`"),
    "typo with nothing": (f"{RUN}inptus:\n", 2, "inptus", "no setting", "`inputs`"),
    "outside its group": (f"{RUN}disk_gb: 9\n", 2, "disk_gb", "no setting", "group `resources`"),
    "inside a group": (f"{RUN}resources:\n  budget: 9\n", 3, "resources.budget", "no setting", "to the left"),
    "nothing near": (f"{RUN}zzz: 9\n", 2, "zzz", "no setting", "Known here: name, framework"),
    "named as a mark": (f"{RUN}'[key]': 9\n", 2, "[key]", "no setting", "Known here: name"),
    "named so in a group": (f"{RUN}resources:\n  '[key]': 9\n", 3, "resources.[key]", "no setting", "Known here: gpu"),
    "variable named so": (f"{RUN}env:\n  '[key]': x\n", 3, "env.[key]", "name of an environment variable", "EPOCHS"),
    "group as word": (f"{RUN}resources: big\n", 2, "resources", 'group of settings, found "big"', "gpus: 1"),
    "env as list": (f"{RUN}env: [A=1]\n", 2, "env", "group of settings, found a list", "EPOCHS"),
    "list as word": (f"{RUN}outputs: results\n", 2, "outputs", 'a list, found "results"', "[results/]"),
    "list of groups": (f"{RUN}outputs:\n  - a\n  - b: c\n", 4, "outputs[1]", "found a group", "outputs: "),
    "hole in a list": (f"{RUN}outputs:\n  - a\n  -\n", 4, "outputs[1]", "found nothing", "outputs: "),
    # values
    "gpus in words": (
        f'{RUN}resources:\n  cpus: 1\n  gpus: "two"\n',
        4,
        "resources.gpus",
        'whole number, found "two"',
        "gpus: 1",
    ),
    "half a gpu": (f"{RUN}resources: {{gpus: 1.5}}\n", 2, "resources.gpus", 'whole number, found "1.5"', "gpus: 1"),
    "octal": (f"{RUN}resources: {{gpus: 010}}\n", 2, "resources.gpus", 'whole number, found "010"', "gpus: 1"),
    "truth for a number": (f"{RUN}resources: {{gpus: true}}\n", 2, "resources.gpus", "found true", "gpus: 1"),
    "fewer than none": (f"{RUN}resources: {{gpus: -1}}\n", 2, "resources.gpus", "0 or more", "gpus: 1"),
    "unit in a number": (
        f"{RUN}resources: {{memory_gb: 16GB}}\n",
        2,
        "resources.memory_gb",
        'number, found "16GB"',
        "memory_gb: 16",
    ),
    "infinite memory": (
        f"{RUN}resources: {{memory_gb: .inf}}\n",
        2,
        "resources.memory_gb",
        "expected a number",
        "memory_gb: 16",
    ),
    "enormous disk": (f"{RUN}resources: {{disk_gb: 99999}}\n", 2, "resources.disk_gb", "65536 or less", "disk_gb: 100"),
    "two words": (f"{RUN}resources: {{gpu: big one}}\n", 2, "resources.gpu", "one word", "blanks"),
    "framework": (f"{RUN}framework: TensorFlw\n", 2, "framework", "tensorflow, keras, pytorch, jax, none", "`tensorflow`"),
    "framework yes": (f"{RUN}framework: true\n", 2, "framework", "found true", "framework: tensorflow"),
    "on_finish": (f"{RUN}on_finish: explode\n", 2, "on_finish", "terminate, stop, keep", "on_finish: terminate"),
    "name": (f"{RUN}name: my job\n", 2, "name", 'found "my job"', "name: digits-cnn"),
    "long name": (f"{RUN}name: {'n' * 41}\n", 2, "name", "at most 40", "name: digits-cnn"),
    "name dots": (f"{RUN}name: ..\n", 2, "name", 'found ".."', "name: digits-cnn"),
    "no money": (f"{RUN}budget: 0\n", 2, "budget", "more than zero", "Leave it out"),
    "debt": (f"{RUN}budget: -5\n", 2, "budget", "amount in US dollars", "5.00"),
    "budget begun": (f"{RUN}budget:\n", 2, "budget", "found nothing", "5.00"),
    "nan": (f"{RUN}budget: .nan\n", 2, "budget", "amount in US dollars", "5.00"),
    "inf": (f"{RUN}budget: .inf\n", 2, "budget", "amount in US dollars", "5.00"),
    "budget true": (f"{RUN}budget: true\n", 2, "budget", "found true", "5.00"),
    "comma": (f"{RUN}budget: 5,00\n", 2, "budget", 'found "5,00"', "with a point"),
    "euro": (f"{RUN}budget: 5€\n", 2, "budget", "US dollars", "5.00"),
    "no unit": (f"{RUN}max_lifetime: 4\n", 2, "max_lifetime", "without a unit", "`4h`"),
    "sexagesimal": (f"{RUN}max_lifetime: 1:30\n", 2, "max_lifetime", 'found "1:30"', "`1h30m`"),
    "unknown unit": (f"{RUN}max_lifetime: 4w\n", 2, "max_lifetime", 'found "4w"', "`4h`"),
    "wrong order": (f"{RUN}max_lifetime: 30m1h\n", 2, "max_lifetime", 'found "30m1h"', "`1h30m`"),
    "no time": (f"{RUN}max_lifetime: 0s\n", 2, "max_lifetime", "at least one second", "`4h`"),
    "a year": (f"{RUN}max_lifetime: 365d\n", 2, "max_lifetime", "at most 120d", "less"),
    "immortal": (f"{RUN}max_lifetime: never\n", 2, "max_lifetime", "ends at some time", "`24h`"),
    "idle": (f"{RUN}idle_timeout: sometimes\n", 2, "idle_timeout", 'found "sometimes"', "`20m`"),
    "env truth": (f"{RUN}env:\n  A: x\n  DEBUG: true\n", 4, "env.DEBUG", "found true", '"true"'),
    "env nothing": (f"{RUN}env:\n  A:\n", 3, "env.A", "found nothing", '""'),
    "env list": (f"{RUN}env: {{A: [1]}}\n", 2, "env.A", "found a list", '""'),
    "env name": (f"{RUN}env: {{MY-VAR: 1}}\n", 2, "env.MY-VAR", "environment variable", "underscores"),
    "env NUL": (f'{RUN}env: {{A: "\\0"}}\n', 2, "env.A", "control character", "Remove"),
    "env surrogate": (f'{RUN}env: {{A: "\\uD800"}}\n', 2, "env.A", "control character", "Remove"),
    "secret name": (f"{RUN}secrets:\n  - OK\n  - sk-123\n", 4, "secrets[1]", "environment variable", "underscores"),
    "secret in env": (f"{RUN}env: {{KEY: x}}\nsecrets:\n  - OK\n  - KEY\n", 5, "secrets[1]", "env too", "remove it"),
    # names of files
    "absolute input": (f"{RUN}inputs:\n  - .\n  - /data\n", 4, "inputs[1]", "in the job's folder", "count from"),
    "home": (f"{RUN}outputs: [~/x]\n", 2, "outputs[0]", "in the job's folder", "count from"),
    "way out": (f"{RUN}inputs: [../x]\n", 2, "inputs[0]", "lead out", "`..`"),
    "way out inside": (f"{RUN}outputs: [a/../../x]\n", 2, "outputs[0]", "lead out", "`..`"),
    "no such input": (f"{RUN}inputs: [., nowhere]\n", 2, "inputs[1]", 'no "nowhere"', "count from"),
    "below a file": (f"{RUN}inputs: [a.txt/b]\n", 2, "inputs[0]", "cannot be followed", "ls -l"),
    "endless name": (f"{RUN}inputs: [{'n' * 300}]\n", 2, "inputs[0]", "cannot be followed", "ls -l"),
    "link out": (f"{RUN}inputs: [out]\n", 2, "inputs[0]", "leads out", "into the folder"),
    "output link out": (f"{RUN}outputs: [out/results]\n", 2, "outputs[0]", "leads out", "into the folder"),
    "dangling link out": (f"{RUN}outputs: [nowhere-out]\n", 2, "outputs[0]", "leads out", "into the folder"),
    "circle": (f"{RUN}inputs: [circle]\n", 2, "inputs[0]", "cannot be followed", "ls -l"),
    "output circle": (f"{RUN}outputs: [circle/x]\n", 2, "outputs[0]", "cannot be followed", "ls -l"),
    "blank input": (f'{RUN}inputs: [""]\n', 2, "inputs[0]", "found nothing", "inputs: "),
    "NUL in a name": (f'{RUN}inputs: ["a\\0"]\n', 2, "inputs[0]", "control character", "Remove"),
    "no requirements": (f"{RUN}requirements: reqs.txt\n", 2, "requirements", 'no "reqs.txt"', "remove this line"),
    "requirements folder": (f"{RUN}requirements: data\n", 2, "requirements", "expected a file", "requirements.txt"),
    "output of all": (f"{RUN}outputs: [./]\n", 2, "outputs[0]", "the job itself", "`results`"),
    "output of the yaml": (f"{RUN}outputs: [cloudtrain.yaml]\n", 2, "outputs[0]", "the job itself", "`results`"),
    "output linked to all": (f"{RUN}outputs: [here]\n", 2, "outputs[0]", "the job itself", "`results`"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    job = tmp_path / "job"
    (job / "data").mkdir(parents=True)
    (job / "a.txt").touch()
    (job / "out").symlink_to(tmp_path)
    (job / "nowhere-out").symlink_to(tmp_path / "nowhere")
    (job / "here").symlink_to(".")
    (job / "circle").symlink_to("circle")
    monkeypatch.chdir(tmp_path)
    return job


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_job_is_told_with_file_line_field_and_a_hint(name: str, folder: Path) -> None:
    text, line, field, words, hint = BROKEN[name]
    (folder / "cloudtrain.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load_job(folder)
    error = caught.value
    assert (error.file, error.line, error.field) == ("job/cloudtrain.yaml", line, field)
    assert words in error.message
    assert hint in error.hint
    assert error.exit_code == 2
    assert str(error).replace("\n", "").isprintable()


def test_the_table_is_long_enough() -> None:
    assert len(BROKEN) >= 45


def test_the_sentence_reads_as_promised(folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text(f'{RUN}\n\n\n\nresources:\n  gpus: "two"\n')
    with pytest.raises(ConfigError) as caught:
        load_job(folder)
    expected = 'job/cloudtrain.yaml:7: resources.gpus: expected a whole number, found "two"\nFor example `gpus: 1`.'
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("extra", "count"), [("", None), ("zzz: 1\n", "1 more problem "), ("zzz: 1\nyyy: 2\n", "2 more problems ")]
)
def test_the_first_problem_by_line_is_told_and_the_others_are_counted(extra: str, count: str | None, folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text(f"{RUN}framework: tf\n{extra}")
    with pytest.raises(ConfigError) as caught:
        load_job(folder)
    assert (caught.value.line, caught.value.field) == (2, "framework")
    found = re.search(r"\d+ more problems? ", caught.value.hint)
    assert (found and found[0]) == count


def test_a_problem_without_a_line_comes_after_those_with_one(folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text("comand: python train.py\n")
    with pytest.raises(ConfigError) as caught:
        load_job(folder)
    assert (caught.value.line, caught.value.field) == (1, "comand")
    assert "`command`" in caught.value.hint


def test_long_and_strange_values_are_cut_and_escaped(folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text(f'{RUN}name: "\\e[31m{"x" * 5000}"\n"\\e]0;k{"y" * 500}": 1\n')
    with pytest.raises(ConfigError) as caught:
        load_job(folder)
    assert len(str(caught.value)) < 500
    assert "\x1b" not in str(caught.value)
    assert r"\x1b[31m" in caught.value.message


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_folder, "expected a file, found a folder"),
        (make_pipe, "not a regular file"),
        (make_dangling_link, "points to nothing"),
        (make_circle, "cannot be read"),
    ],
)
def test_what_is_no_file_is_told_at_once(make: Callable[[Path], None], words: str, folder: Path) -> None:
    make(folder / "cloudtrain.yaml")
    for command in (None, "python train.py"):
        with pytest.raises(ConfigError) as caught:
            load_job(folder, command=command)
        assert (caught.value.file, caught.value.line) == ("job/cloudtrain.yaml", None)
        assert words in caught.value.message
        assert caught.value.hint


def test_an_unreadable_file_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cloudtrain.yaml").write_text(RUN)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("cloudtrain.config.yaml_file.os.open", refuse)  # root may read everything
    with pytest.raises(ConfigError, match="cannot be read: Permission denied") as caught:
        load_job(folder)
    assert "permissions" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "words"), [("absent", "no such folder"), ("file", "found a file"), ("loop", "no such folder")]
)
def test_a_folder_that_is_none_is_told(name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=words) as caught:
        load_job(Path(name), command="true")
    assert caught.value.file == name
