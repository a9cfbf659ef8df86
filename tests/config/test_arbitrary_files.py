"""Whatever stands in a file, the answer is a value of ours or a ConfigError that can be shown."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtrain.config.job import load_job
from cloudtrain.config.machine import load_machine
from cloudtrain.config.schema import JobFile, MachineFile, ResourcesSection, SshSection
from cloudtrain.model.errors import ConfigError
from cloudtrain.model.spec import JobSpec, MachineSpec

KEYS = sorted({*JobFile.model_fields, *MachineFile.model_fields, *ResourcesSection.model_fields, *SshSection.model_fields})
WORDS = [*KEYS, "5", "4h", "never", "true", "null", ".", "..", "/", "data", "aws", "auto", "https://x", "$5", "-1", "1:30", "A"]
PIECES = [
    *"\n\t :-?[]{},#&*!|>'\"%@`~\\=<.",
    "  ",
    ": ",
    "- ",
    "<<",
    "---\n",
    "...\n",
    "!!",
    "\\x00",
    "\\uD800",
    "\r\n",
    "\u2028",
]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), values, max_size=10).map(
    lambda data: yaml.safe_dump({"command": "x", "provider": "aws"} | data).encode("utf-8", "surrogatepass")
)
fragments = st.lists(st.sampled_from(PIECES + WORDS), max_size=40).map(lambda pieces: "".join(pieces).encode())
texts = st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
contents = st.one_of(st.binary(max_size=200), texts, fragments, documents)

searching = settings(max_examples=100, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    (made / "data").mkdir()
    yield made
    shutil.rmtree(made)


def check(error: ConfigError) -> None:
    assert error.message
    assert error.hint
    assert error.line is None or error.line >= 1
    assert str(error).replace("\n", "").isprintable()
    assert error.exit_code == 2
    assert bool(error.file) == (not error.field.startswith("--"))


@searching
@given(content=contents)
def test_a_job_file_gives_a_job_or_a_complaint(content: bytes, folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_bytes(content)
    try:
        spec = load_job(folder)
    except ConfigError as error:
        check(error)
    else:
        assert isinstance(spec, JobSpec)
        assert spec.command.strip()
        for name in (*spec.inputs, *spec.outputs):
            assert (folder / name).resolve().is_relative_to(folder.resolve())


@searching
@given(content=contents)
def test_a_machine_file_gives_a_machine_or_a_complaint(content: bytes, folder: Path) -> None:
    (folder / "m.yaml").write_bytes(content)
    try:
        assert isinstance(load_machine("m", folders=[folder]), MachineSpec)
    except ConfigError as error:
        check(error)


@searching
@given(
    command=st.none() | st.text(max_size=20),
    overrides=st.dictionaries(
        st.sampled_from(KEYS) | st.text(max_size=20) | st.sampled_from(["env.A", "resources.gpus"]), values
    ),
)
def test_flags_give_a_job_or_a_complaint(command: str | None, overrides: dict[str, object], folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text("command: x\n")
    try:
        assert isinstance(load_job(folder, command=command, overrides=overrides), JobSpec)
    except ConfigError as error:
        check(error)


def test_the_generator_reaches_beyond_the_parser(folder: Path) -> None:
    """Say that what is made above is not merely refused at the door: complaints name settings of every sort."""
    told: set[str] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(content=documents)
    def collect(content: bytes) -> None:
        (folder / "cloudtrain.yaml").write_bytes(content)
        try:
            load_job(folder)
        except ConfigError as error:
            told.add(error.field.partition(".")[0].partition("[")[0])

    collect()
    assert len(told & set(JobFile.model_fields)) >= 5
