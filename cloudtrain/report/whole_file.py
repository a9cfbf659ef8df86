"""Writing a file whole or not at all."""

import os
import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file's content in one step: whoever reads it sees the old or the new one, never a part.

    Raises:
        OSError: its folder cannot be written to.
    """
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    # Made as any file of the person's is: their umask says who may read it.
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
