"""One thread that opens every machine's doors, and one for each who comes in."""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable

Answer = Callable[[socket.socket], None]


class Porter:
    """Listens at sockets; hands whoever comes to the answer given for that socket, in a thread."""

    def __init__(self) -> None:
        """Begin to listen, at nothing yet."""
        self._selector = selectors.DefaultSelector()
        self._answers: dict[socket.socket, Answer] = {}
        self._lock = threading.Lock()
        self._woken, self._wake = os.pipe()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, name="hypervisor doors", daemon=True)
        self._thread.start()

    def open(self, door: socket.socket, answer: Answer) -> None:
        """Answer at a listening socket from now on."""
        door.setblocking(False)
        with self._lock:
            self._answers[door] = answer
        os.write(self._wake, b"o")

    def shut(self, door: socket.socket) -> None:
        """Answer no more, and close the socket."""
        with self._lock:
            self._answers.pop(door, None)
        os.write(self._wake, b"s")

    def close(self) -> None:
        """Shut all doors."""
        with self._lock:
            self._answers.clear()
        os.write(self._wake, b"c")
        self._thread.join()
        os.close(self._wake)
        os.close(self._woken)

    def _listen(self) -> None:
        with self._selector:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj == self._woken:
                        if b"c" in os.read(self._woken, 512):
                            self._keep(set())
                            return
                        with self._lock:
                            wanted = set(self._answers)
                        self._keep(wanted)
                    elif isinstance(key.fileobj, socket.socket):
                        self._let_in(key.fileobj)

    def _keep(self, wanted: set[socket.socket]) -> None:
        """Listen at these sockets; close the others. Only this thread does, so none is closed while it is listened at."""
        there = {key.fileobj for key in self._selector.get_map().values() if isinstance(key.fileobj, socket.socket)}
        for door in there - wanted:
            self._selector.unregister(door)
            door.close()
        for door in wanted - there:
            self._selector.register(door, selectors.EVENT_READ)

    def _let_in(self, door: socket.socket) -> None:
        with self._lock:
            answer = self._answers.get(door)
        # Whoever knocked may have left again.
        with contextlib.suppress(OSError):
            caller, _ = door.accept()
            if answer is None:
                caller.close()
                return
            caller.setblocking(True)
            threading.Thread(target=answer, args=(caller,), name="hypervisor door", daemon=True).start()
