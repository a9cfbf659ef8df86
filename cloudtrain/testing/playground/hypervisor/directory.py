"""Which address answers where: the file `machines.json`, which the SSH client's ProxyCommand (`connect.py`) reads."""

import json
import threading
from pathlib import Path

FILE = "machines.json"


class Directory:
    """The machines that run, by address. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Keep the file in `folder`; it begins empty."""
        self._path = folder / FILE
        self._entries: dict[str, dict[str, str | int | bool]] = {}
        self._lock = threading.Lock()
        self._write()

    def put(self, address: str, host: str, port: int) -> None:
        """Say where an address answers."""
        with self._lock:
            self._entries[address] = {"host": host, "port": port, "cut": False}
            self._write()

    def cut(self, address: str, *, is_cut: bool) -> None:
        """Say whether whoever calls an address waits in vain."""
        with self._lock:
            if address in self._entries:
                self._entries[address]["cut"] = is_cut
                self._write()

    def remove(self, address: str) -> None:
        """Forget an address."""
        with self._lock:
            self._entries.pop(address, None)
            self._write()

    def _write(self) -> None:
        half = self._path.with_suffix(".next")
        half.write_text(json.dumps(self._entries, indent=1) + "\n")
        half.replace(self._path)
