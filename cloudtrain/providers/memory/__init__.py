"""A cloud made of a dictionary: what the contract means, and what the examples and tests rent."""

from .provider import MemoryProvider, create
from .store import DictStore, FileStore

__all__ = ["DictStore", "FileStore", "MemoryProvider", "create"]
