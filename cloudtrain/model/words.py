"""Amounts that every layer may have to say."""


def files(count: int) -> str:
    """Return a number of files: "1 file", "12 files"."""
    return f"{count} file{'' if count == 1 else 's'}"
