"""The guest as one file that a machine's own Python can run."""

import functools
import hashlib
import io
import zipfile
from importlib import resources

from .prose import without_prose

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = "import sys\n\nfrom guest.main import main\n\nsys.exit(main())\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> bytes:
    """Return the guest as a zipapp. The same sources give the same bytes, whoever builds them and whenever."""
    sources = {"__main__.py": _MAIN.encode()}
    for item in resources.files("cloudtrain.guest").iterdir():
        if item.name.endswith(".py"):
            sources[f"guest/{item.name}"] = without_prose(item.read_text("utf-8")).encode()
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
