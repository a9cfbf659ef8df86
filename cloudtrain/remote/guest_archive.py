"""The guest as one file that a machine's own Python can run."""

import ast
import functools
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib import resources

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = "import sys\n\nfrom guest.main import main\n\nsys.exit(main())\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> bytes:
    """Return the guest as a zipapp. The same sources give the same bytes, whoever builds them and whenever."""
    sources = {"__main__.py": _MAIN.encode()}
    for item in resources.files("cloudtrain.guest").iterdir():
        if item.name.endswith(".py"):
            sources[f"guest/{item.name}"] = _without_prose(item.read_text("utf-8")).encode()
    archive = io.BytesIO()
    archive.write(_SHEBANG)
    with zipfile.ZipFile(archive, "w") as zipped:
        for name in sorted(sources):
            # Stored, not compressed: compressors differ between machines, and the guest starts sooner.
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, sources[name])
    return archive.getvalue()


@functools.cache
def file_name() -> str:
    """Return a name that changes with the content (`guest-0123456789ab.pyz`)."""
    return f"guest-{hashlib.sha256(build()).hexdigest()[:12]}.pyz"


def _without_prose(source: str) -> str:
    """Return a module's source with its docstrings and comment lines left empty: every line keeps its number."""
    lines = ["" if line.lstrip().startswith("#") else line for line in source.split("\n")]
    for node in _definitions(ast.parse(source)):
        if ast.get_docstring(node, clean=False) is None:
            continue
        prose = node.body[0]
        lines[prose.lineno - 1 : prose.end_lineno] = [""] * ((prose.end_lineno or prose.lineno) - prose.lineno + 1)
        if len(node.body) == 1:
            lines[prose.lineno - 1] = " " * prose.col_offset + "pass"
    return "\n".join(lines)


def _definitions(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef]:
    """Hand out what may have a docstring. Statements alone are looked into: nine tenths of a tree are expressions."""
    found: list[ast.AST] = [tree]
    while found:
        node = found.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(node, part, ())
            found += inner if isinstance(inner, list) else ()
