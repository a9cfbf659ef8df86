"""CPU seconds of whole trees of processes, those included that made themselves independent, as SSH connections do."""

import ctypes
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")


def adopt_orphans() -> None:
    """Stay the ancestor of every process that is started below this one."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def used_by(root: int, without: Collection[int] = ()) -> float:
    """Return what a process and all below it have used so far, those that ended too, but for some trees."""
    used, children = _processes()
    return sum(used.get(pid, 0) for pid in _tree(root, children, without)) / _TICKS


def below(root: int) -> list[int]:
    """Return the processes below one."""
    return [pid for pid in _tree(root, _processes()[1]) if pid != root]


def stolen_s() -> float:
    """Return for how long so far this computer's cores, all together, had to wait for others on the same host, seconds.

    A virtual machine is told so by its host; 0.0 where nobody tells.
    """
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    return int(words[8]) / _TICKS if len(words) > 8 else 0.0


def _processes() -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return what each process has used, in ticks, and whose children they are."""
    used: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            children.setdefault(int(words[1]), []).append(int(folder.name))
            used[int(folder.name)] = sum(map(int, words[11:15]))
    return used, children


def _tree(root: int, children: Mapping[int, Sequence[int]], without: Collection[int] = ()) -> Iterator[int]:
    to_look_at = [root]
    while to_look_at:
        pid = to_look_at.pop()
        if pid not in without:
            yield pid
            to_look_at += children.get(pid, [])
