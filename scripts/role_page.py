"""A page of docs/providers with roles in it that a script writes: what the scripts of Azure's and Google's page share."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs" / "providers"


@dataclass(frozen=True)
class RolePage:
    """One page.

    Attributes:
        path: where it is. script: the name of the script that writes it.
        language: what its blocks are written in. blocks: their contents, by name.
    """

    path: Path
    script: str
    language: str
    blocks: Mapping[str, str]

    def main(self, arguments: list[str], usage: str) -> int:
        """Write the page, or check it with --check; return the exit code."""
        if arguments not in ([], ["--check"]):
            sys.stderr.write(usage)
            return 2
        before = self.path.read_text(encoding="utf-8")
        after = self.filled(before)
        if not arguments:
            self.path.write_text(after, encoding="utf-8")
        elif before != after:
            sys.stderr.write(f"docs/providers/{self.path.name} is stale: run python scripts/{self.script}\n")
            return 1
        return 0

    def filled(self, page: str) -> str:
        """Return a page with the roles written anew.

        Raises:
            ValueError: the page has no place for one of them.
        """
        for name, content in self.blocks.items():
            begin, end = f"<!-- {name}: written by scripts/{self.script} -->", f"<!-- end of {name} -->"
            if begin not in page or end not in page:
                raise ValueError(f"docs/providers/{self.path.name} has no place for {name}: {begin} … {end}")
            page = page[: page.index(begin)] + f"{begin}\n```{self.language}\n{content}```\n" + page[page.index(end) :]
        return page
