"""version: which cloudtrain this is."""

import platform

from ... import __version__
from ..options import Json
from ..render import answer, document

EXAMPLES = """
cloudtrain version
cloudtrain version --json
"""


def version(as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        document({"version": __version__, "python": platform.python_version()})
    else:
        answer(f"cloudtrain {__version__}")
