"""What a line carries: told by a little that is sent as it is."""

_LEAST_ITEMS = 4


class Sample:
    """So many bytes, and at least a few items, and what the line carried from the first answer to the last one.

    Whatever else travels at the same time counts as well: it is the line that is measured.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._asked = 0
        self._under_way = 0
        self._began_s = self._ended_s = -1.0
        self._carried = self._meanwhile = 0

    def takes(self, size: int) -> bool:
        """Say whether an item of so many bytes is to be one of it; it is under way then."""
        if self._size <= 0 and self._asked >= _LEAST_ITEMS:
            return False
        self._size -= size
        self._asked += 1
        self._under_way += 1
        return True

    def carried(self, size: int) -> None:
        """Note that so many bytes more have crossed the line."""
        if self._began_s >= 0:
            self._meanwhile += size

    def answered(self, now: float) -> None:
        """Note that one of its items is across, at `now`, seconds."""
        self._under_way -= 1
        if self._began_s < 0:
            self._began_s = now
        self._carried, self._ended_s = self._meanwhile, now

    def is_over(self) -> bool:
        """Say whether all of it is across."""
        return not self._under_way and self._size <= 0 and self._asked >= _LEAST_ITEMS

    def rate(self) -> float:
        """Return bytes per second on the line."""
        return self._carried / max(1e-6, self._ended_s - self._began_s)
