"""Write the roles in docs/providers/gcp.md from the permissions that cloudtrain's calls need.

python scripts/generate_gcp_role.py            write them
python scripts/generate_gcp_role.py --check    exit 1 when the page is not what would be written
"""

import sys

from role_page import DOCS, RolePage

from cloudtrain.providers.gcp.permissions import (
    EVERYDAY,
    NEEDED_FOR_CHECKPOINTS,
    NEEDED_FOR_DATA,
    NEEDED_FOR_TPUS,
    NEEDED_ONCE,
    of_methods,
    role,
)

_CHECKPOINTS = of_methods(NEEDED_FOR_CHECKPOINTS)

BLOCKS = {
    "role": role("cloudtrain", EVERYDAY),
    "network role": role("cloudtrain network", of_methods(NEEDED_ONCE)),
    "TPU role": role("cloudtrain TPU", of_methods(NEEDED_FOR_TPUS)),
    "data role": role("cloudtrain data", [each for each in of_methods(NEEDED_FOR_DATA) if each.startswith("storage.")]),
    "checkpoints role": role("cloudtrain checkpoints", [each for each in _CHECKPOINTS if each.startswith("iam.")]),
    "checkpoints bucket role": role("cloudtrain bucket", [each for each in _CHECKPOINTS if each.startswith("storage.")]),
}

PAGE = RolePage(DOCS / "gcp.md", "generate_gcp_role.py", "yaml", BLOCKS)

if __name__ == "__main__":
    raise SystemExit(PAGE.main(sys.argv[1:], __doc__ or ""))
