import pytest

from cloudtrain.guest import requirements
from cloudtrain.guest.errors import GuestError


def names_in(tmp_path, text: str) -> set[str]:
    (tmp_path / "requirements.txt").write_text(text)
    return requirements.read(str(tmp_path), "requirements.txt").names


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("tensorflow-cpu==2.21.0", "tensorflow-cpu"),
        ("TensorFlow", "tensorflow"),
        ("tf_nightly>=2.22.dev0", "tf-nightly"),
        ("jax[cuda12]==0.10.2", "jax"),
        ('torch>=2 ; python_version < "4"', "torch"),
        ("keras<4,>=3  # the new one", "keras"),
        ("torch @ https://example.invalid/torch-2.13.0-py3-none-any.whl", "torch"),
        ("https://example.invalid/w/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl#sha256=00", "torch"),
        ("./wheels/jax-0.10.2-py3-none-any.whl", "jax"),
        ("-e git+https://example.invalid/keras.git#egg=keras", "keras"),
        ("torch==2.13.0 \\\n    --hash=sha256:00", "torch"),
        ("ruamel.yaml", "ruamel-yaml"),
    ],
)
def test_name_of_a_requirement(tmp_path, line, name) -> None:
    assert names_in(tmp_path, line + "\n") == {name}


@pytest.mark.parametrize("line", ["", "# torch", "--extra-index-url https://torch.invalid", "--pre", "-e .", "./torch"])
def test_line_that_names_no_package(tmp_path, line) -> None:
    assert names_in(tmp_path, line) == set()


@pytest.mark.parametrize("option", ["-r more.txt", "-rmore.txt", "--requirement more.txt", "--requirement=more.txt"])
def test_included_file_is_read_where_the_including_one_lies(tmp_path, option) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("torch\n")
    (tmp_path / "sub" / "all.txt").write_text(option + "\n")
    assert names_in(tmp_path, "-r sub/all.txt\nnumpy\n") == {"torch", "numpy"}


def test_constraints_count_as_content_and_name_nothing(tmp_path) -> None:
    (tmp_path / "limits.txt").write_text("torch<3\n")
    (tmp_path / "requirements.txt").write_text("-c limits.txt\n")
    found = requirements.read(str(tmp_path), "requirements.txt")
    assert found.names == set()
    assert "torch<3" in found.lines


def test_files_that_include_each_other_end(tmp_path) -> None:
    (tmp_path / "more.txt").write_text("-r requirements.txt\ntorch\n")
    assert names_in(tmp_path, "-r more.txt\n") == {"torch"}


@pytest.mark.parametrize(
    "line",
    ["./pkg", "-e .", "-e ./pkg[extra]", "pkg @ file:///somewhere", "../pkg", "/abs/p", "--editable=.", "pkg @ ./pkg"],
)
def test_local_path_is_told(tmp_path, line) -> None:
    (tmp_path / "requirements.txt").write_text(line)
    assert requirements.read(str(tmp_path), "requirements.txt").local_paths


@pytest.mark.parametrize(
    "line", ["numpy", "-e git+https://example.invalid/keras.git#egg=keras", "pkg @ https://example.invalid/p.whl"]
)
def test_what_comes_from_elsewhere_is_not_local(tmp_path, line) -> None:
    (tmp_path / "requirements.txt").write_text(line)
    assert not requirements.read(str(tmp_path), "requirements.txt").local_paths


@pytest.mark.parametrize(
    "line", ["--index-url=https://example.invalid", "-f wheels", "--extra-index-url https://example.invalid"]
)
def test_own_index_is_told(tmp_path, line) -> None:
    (tmp_path / "requirements.txt").write_text(line)
    assert requirements.read(str(tmp_path), "requirements.txt").names_index


def test_comments_and_blank_lines_change_nothing(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("numpy # why\n\n# more\n  torch\n")
    (tmp_path / "b.txt").write_text("numpy\ntorch\n")
    assert requirements.read(str(tmp_path), "a.txt") == requirements.read(str(tmp_path), "b.txt")


def test_absent_file_is_said(tmp_path) -> None:
    with pytest.raises(GuestError, match=r"nothing\.txt cannot be read"):
        requirements.read(str(tmp_path), "nothing.txt")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("vendor/mypkg", "vendor/mypkg"),
        ("vendor/mypkg[fast,dev] ; python_version > '3'", "vendor/mypkg"),
        ("./vendor/mypkg[fast]", "vendor/mypkg"),
        ("mypkg-1.0-py3-none-any.whl", "mypkg-1.0-py3-none-any.whl"),
        ("mypkg-1.0.tar.gz[fast] --hash=sha256:00", "mypkg-1.0.tar.gz"),
        ("mypkg-1.0.zip", "mypkg-1.0.zip"),
        ("-e vendor/mypkg", "vendor/mypkg"),
        ("-e file:vendor/mypkg#egg=mypkg", "vendor/mypkg"),
        ("mypkg @ file:vendor/my%20pkg", "vendor/my pkg"),
    ],
)
def test_path_of_a_local_package(tmp_path, line, path) -> None:
    (tmp_path / "requirements.txt").write_text(line + "\n")
    assert requirements.read(str(tmp_path), "requirements.txt").local_paths == [str(tmp_path / path)]


@pytest.mark.parametrize("line", ["vendor/mypkg", "mypkg-1.0.tar.gz", "torch-2.0.zip"])
def test_path_is_not_read_as_a_name(tmp_path, line) -> None:
    assert names_in(tmp_path, line) == set()


def test_comment_that_ends_in_a_backslash_hides_no_line(tmp_path) -> None:
    assert names_in(tmp_path, "# see C:\\wheels\\\ntorch\n  # and \\\njax\n") == {"torch", "jax"}


def test_find_links_count_from_the_file_and_from_the_job_s_folder(tmp_path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("--find-links=wheels\n-f https://example.invalid/wheels\n")
    (tmp_path / "requirements.txt").write_text("-r sub/more.txt\n")
    found = requirements.read(str(tmp_path), "requirements.txt")
    assert found.find_links == [str(tmp_path / "sub" / "wheels"), str(tmp_path / "wheels")]
