"""A long line between two network namespaces of this computer: so much delay, rate and loss, for tests of what crosses it.

The kernel's own netem is absent on many machines, so packets go through a TUN device on either side and this program between
them: each waits for its turn at the line's rate, then half the round trip; a queue of one bandwidth-delay product drops what
does not fit.
Needs root (or `unshare -rn`) and iproute2.

    with long_line(rate_mbit=1000, rtt_ms=40, loss=0.0001) as line:
        subprocess.run([*line.near, "ping", "-c", "3", line.far_address])
"""

import array
import contextlib
import ctypes
import fcntl
import os
import random
import select
import signal
import socket
import struct
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CONGESTION_CONTROL = "cubic"
"""What most computers have; bbr, which some kernels choose, hardly slows down when packets are lost."""

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_OFFLOAD_CSUM_TSO4 = 0x01 | 0x02
_VNET_HDR = 10
_MTU = 1500
_AT_ONCE_S = 0.001
"""Packets are moved so often, as a network card tells of them, and not one by one: that costs the ends less of the cores."""
_LARGEST = 1 << 17
_NET, _NEAR, _FAR = "10.213.7.0/24", "10.213.7.1", "10.213.7.2"


@dataclass(frozen=True, slots=True)
class Line:
    """The two ends: what a command must begin with to run there, the far one's address, and the processes that are the line."""

    near: tuple[str, ...]
    far: tuple[str, ...]
    far_address: str
    pids: tuple[int, ...]


@contextlib.contextmanager
def long_line(rate_mbit: float, rtt_ms: float, loss: float = 0.0) -> Iterator[Line]:
    """Keep a line up while the block runs.

    Raises:
        OSError: this user may not make network namespaces.
    """
    ends = [_start_end(address) for address in (_NEAR, _FAR)]
    carrier = os.fork()
    if carrier == 0:
        try:
            _carry([device for _, device in ends], rate_mbit * 1e6 / 8, rtt_ms / 2000, loss)
        finally:
            os._exit(0)
    try:
        near, far = (("nsenter", f"--net=/proc/{pid}/ns/net") for pid, _ in ends)
        yield Line(near, far, _FAR, (carrier, *(pid for pid, _ in ends)))
    finally:
        for pid in (carrier, *(pid for pid, _ in ends)):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for _, device in ends:
            os.close(device)


def _start_end(address: str) -> tuple[int, int]:
    """Return the process that holds a new namespace, and the TUN device in it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            device = _make_device(address)
            theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [device]))])
            signal.pause()
        finally:
            os._exit(1)
    theirs.close()
    said, rights, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    if not said:
        os.waitpid(pid, 0)
        raise PermissionError("no network namespace can be made here: run it as root, or under `unshare -rn`")
    return pid, struct.unpack("i", rights[0][2][:4])[0]


def _make_device(address: str) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"line", _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR))
    fcntl.ioctl(device, _TUNSETOFFLOAD, _OFFLOAD_CSUM_TSO4)
    commands = (
        f"addr add {address}/24 dev line",
        f"link set line mtu {_MTU} txqueuelen 10000 up",
        "link set lo up",
        # By the route, for a container's kernel may not let the whole namespace have another one.
        f"route replace {_NET} dev line src {address} congctl {CONGESTION_CONTROL}",
    )
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
    return device


@dataclass(slots=True)
class _Direction:
    """One way: packets wait for their turn at the rate, then for the delay."""

    source: int
    sink: int
    rate: float
    delay_s: float
    most_bytes: float
    loss: float
    waiting: deque[tuple[float, int, bytearray]] = field(default_factory=deque)
    used: list[bytearray] = field(default_factory=list)
    free_at: float = 0.0

    def take(self, now: float, chance: Callable[[], float]) -> None:
        """Read a packet and let it wait, unless the queue is full or it is lost.

        What the kernel hands over at once is many packets on a real line; any of them may be lost, and with it goes the lot.
        """
        # Buffers are used again: a new one of this size would cost the system more than the packet does.
        packet = self.used.pop() if self.used else bytearray(_LARGEST)
        try:
            size = os.readv(self.source, [packet]) - _VNET_HDR
        except BlockingIOError:
            self.used.append(packet)
            raise
        pieces = -(-size // _MTU)
        if self.free_at - now > self.most_bytes / self.rate or (self.loss and chance() < 1 - (1 - self.loss) ** pieces):
            self.used.append(packet)
            return
        self.free_at = max(now, self.free_at) + size / self.rate
        self.waiting.append((self.free_at + self.delay_s, size + _VNET_HDR, packet))

    def give(self, now: float) -> None:
        """Write what has waited long enough."""
        while self.waiting and self.waiting[0][0] <= now:
            with contextlib.suppress(OSError):  # a full or absent other end loses packets, as lines do
                _, size, packet = self.waiting.popleft()
                self.used.append(packet)
                os.write(self.sink, memoryview(packet)[:size])


def _carry(devices: list[int], rate: float, delay_s: float, loss: float) -> None:
    with contextlib.suppress(OSError):  # then it is a line that trembles when its ends are busy, as no real one does
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    for device in devices:
        os.set_blocking(device, False)
        if loss:
            fcntl.ioctl(device, _TUNSETOFFLOAD, 0x01)  # packet by packet, so that each is lost on its own
    most = max(rate * 2 * delay_s, 128 * _MTU)
    ways = {source: _Direction(source, sink, rate, delay_s, most, loss) for source, sink in (devices, reversed(devices))}
    chance = random.Random(7).random
    while True:
        now = time.monotonic()
        for way in ways.values():
            way.give(now)
        is_quiet = not any([way.waiting for way in ways.values()])
        if not is_quiet:
            time.sleep(_AT_ONCE_S)
        for device in select.select(devices, [], [], 1 if is_quiet else 0)[0]:
            with contextlib.suppress(BlockingIOError):  # all is read
                for _ in range(64):
                    ways[device].take(time.monotonic(), chance)
