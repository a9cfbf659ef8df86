"""Write the roles in docs/providers/azure.md from the actions that cloudtrain needs.

python scripts/generate_azure_role.py            write them
python scripts/generate_azure_role.py --check    exit 1 when the page is not what would be written
"""

import sys

from role_page import DOCS, RolePage

from cloudtrain.providers.azure.permissions import EVERYDAY, FOR_CHECKPOINTS, FOR_OWN_END, role

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

PAGE = RolePage(DOCS / "azure.md", "generate_azure_role.py", "json", BLOCKS)

if __name__ == "__main__":
    raise SystemExit(PAGE.main(sys.argv[1:], __doc__ or ""))
