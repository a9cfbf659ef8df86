"""Write the roles in docs/providers/azure.md from the actions that cloudtrain needs.

python scripts/generate_azure_role.py            write them
python scripts/generate_azure_role.py --check    exit 1 when the page is not what would be written
"""

import sys
from pathlib import Path

from cloudtrain.providers.azure.permissions import EVERYDAY, FOR_CHECKPOINTS, FOR_OWN_END, role

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers" / "azure.md"
BEGIN, END = "<!-- {name}: written by scripts/generate_azure_role.py -->", "<!-- end of {name} -->"

BLOCKS = {
    "role": role("cloudtrain", "What cloudtrain needs to rent machines and give them back", EVERYDAY),
    "ends role": role(
        "cloudtrain ends", "Lets machines that cloudtrain rents be given the right to end themselves", FOR_OWN_END
    ),
    "checkpoints role": role(
        "cloudtrain checkpoints",
        "Lets machines that cloudtrain rents be given the right to one container, and taken it again",
        FOR_CHECKPOINTS,
    ),
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
        sys.stderr.write("docs/providers/azure.md is stale: run python scripts/generate_azure_role.py\n")
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
            raise ValueError(f"docs/providers/azure.md has no place for {name}: {begin} … {end}")
        page = page[: page.index(begin)] + f"{begin}\n```json\n{content}```\n" + page[page.index(end) :]
    return page


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
