"""Write the roles in docs/providers/gcp.md from the permissions that cloudtrain's calls need.

python scripts/generate_gcp_role.py            write them
python scripts/generate_gcp_role.py --check    exit 1 when the page is not what would be written
"""

import sys
from pathlib import Path

from cloudtrain.providers.gcp.permissions import (
    EVERYDAY,
    NEEDED_FOR_CHECKPOINTS,
    NEEDED_FOR_DATA,
    NEEDED_FOR_TPUS,
    NEEDED_ONCE,
    of_methods,
    role,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers" / "gcp.md"
BEGIN, END = "<!-- {name}: written by scripts/generate_gcp_role.py -->", "<!-- end of {name} -->"

_CHECKPOINTS = of_methods(NEEDED_FOR_CHECKPOINTS)

BLOCKS = {
    "role": role("cloudtrain", EVERYDAY),
    "network role": role("cloudtrain network", of_methods(NEEDED_ONCE)),
    "TPU role": role("cloudtrain TPU", of_methods(NEEDED_FOR_TPUS)),
    "data role": role("cloudtrain data", [each for each in of_methods(NEEDED_FOR_DATA) if each.startswith("storage.")]),
    "checkpoints role": role("cloudtrain checkpoints", [each for each in _CHECKPOINTS if each.startswith("iam.")]),
    "checkpoints bucket role": role("cloudtrain bucket", [each for each in _CHECKPOINTS if each.startswith("storage.")]),
}


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(__doc__ or "")
        return 2
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if arguments == []:
        PAGE.write_text(after, encoding="utf-8")
    elif before != after:
        sys.stderr.write("docs/providers/gcp.md is stale: run python scripts/generate_gcp_role.py\n")
        return 1
    return 0


def filled(page: str) -> str:
    """Return a page with the roles written anew.

    Raises:
        ValueError: the page has no place for one of them.
    """
    for name, content in BLOCKS.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        if begin not in page or end not in page:
            raise ValueError(f"docs/providers/gcp.md has no place for {name}: {begin} … {end}")
        page = page[: page.index(begin)] + f"{begin}\n```yaml\n{content}```\n" + page[page.index(end) :]
    return page


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
