"""What travels as source loses what only its readers need, and nothing else."""

import ast
from pathlib import Path

import pytest

from cloudtrain import guest, remote
from cloudtrain.remote.prose import without_prose

TRAVELLING = sorted(
    [*Path(remote.__file__).parent.glob("*_there.py"), *Path(guest.__file__).parent.glob("*.py")], key=lambda path: path.name
)


class Emptied(ast.NodeTransformer):
    """Makes every string that is a statement an empty one."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_prose = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Expr(ast.Constant("")) if is_prose else node


@pytest.mark.parametrize("path", TRAVELLING, ids=lambda path: path.stem)
def test_it_is_the_same_program_line_by_line(path: Path) -> None:
    source = path.read_text("utf-8")
    bare = without_prose(source)
    assert ast.dump(ast.parse(bare)) == ast.dump(Emptied().visit(ast.parse(source)))
    lines = zip(source.split("\n"), bare.split("\n"), strict=True)
    assert all(after == before for before, after in lines if after.strip(' "'))
    assert len(bare) < len(source)


def test_some_travel() -> None:
    assert len(TRAVELLING) > 20


@pytest.mark.parametrize(
    ("source", "bare"),
    [
        ('"""One line."""\nx = 1\n', '""\nx = 1\n'),
        ('class A:\n    """Two\n    lines."""\n', 'class A:\n    ""\n\n'),
        ('def f():\n    r"""A \\" and a \\\\."""\n    # said\n    return 1\n', 'def f():\n    ""\n\n    return 1\n'),
        ('x = """kept\n\\n\n"""\n', None),
        ('y = "a"  # behind what counts\n', None),
        ('z = f("""kept""")\n', None),
    ],
)
def test_docstrings_and_comment_lines_go_and_nothing_else(source: str, bare: str | None) -> None:
    assert without_prose(source) == (source if bare is None else bare)
