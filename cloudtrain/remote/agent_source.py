"""The agent's source as one parcel that a machine's own Python opens from its standard input, with nothing installed there."""

import functools
import json
import zlib
from importlib import resources

from .prose import without_prose

FILES = (
    "entry_there",
    "frames_there",
    "manifest_there",
    "landing_there",
    "part_there",
    "leaving_there",
    "ahead_there",
    "receiver_there",
    "sender_there",
    "agent_there",
)
"""In an order in which each imports only what stands before it."""

_LOADER = """\
import json, sys, types, zlib
parcel = json.loads(zlib.decompress(sys.stdin.buffer.read({size})))
home = types.ModuleType("there")
home.__path__ = []
sys.modules["there"] = home
for name, text in parcel:
    module = types.ModuleType("there." + name)
    module.__package__ = "there"
    sys.modules[module.__name__] = module
    exec(compile(text, name + ".py", "exec"), module.__dict__)
sys.modules["there.agent_there"].main()
"""


@functools.cache
def start() -> tuple[str, bytes]:
    """Return what `python -c` is told, and what must be the first bytes of its standard input."""
    sources = resources.files(__package__)
    texts = [(name, without_prose((sources / f"{name}.py").read_text("utf-8"))) for name in FILES]
    parcel = zlib.compress(json.dumps(texts).encode(), 9)
    loader = _LOADER.format(size=len(parcel)).encode()
    return f"import sys;exec(sys.stdin.buffer.read({len(loader)}))", loader + parcel
