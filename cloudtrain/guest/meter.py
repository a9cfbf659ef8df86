"""Samples of what a job uses, beside the job and never in its way."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from typing import Any

from . import gpus, machine, processes
from .moment import iso

_GPU_TIMEOUT_S = 10.0
_GPU_PAUSE_S = 600.0  # before a driver's tool that hung is asked again
_LAST_SAMPLE_S = 2.0  # how long the job's end waits for the last sample
_SHORTEST_S = 0.1


class Meter:
    """Writes samples.jsonl from a thread of its own: one sample at once, one at the end, others in between."""

    def __init__(self, run: str, session: int, every_s: float) -> None:
        """Measure the machine and the processes of a session; `every_s` is the seconds between two samples."""
        self._path = os.path.join(run, "samples.jsonl")
        self._session = session
        self._every_s = max(every_s, _SHORTEST_S)
        self._over = threading.Event()
        self._last_ticks = machine.cpu_times()
        self._known: list[dict[str, Any]] = []
        self._ask_gpus_at = 0.0
        # A daemon: a sample that hangs must not keep the supervisor.
        self._thread = threading.Thread(target=self._work, name="meter", daemon=True)

    def start(self) -> None:
        """Take the first sample and go on."""
        self._thread.start()

    def stop(self) -> None:
        """Take the last sample, if that is possible within two seconds."""
        self._over.set()
        self._thread.join(_LAST_SAMPLE_S)

    def sample(self) -> dict[str, Any]:
        """Return one sample; None stands for what is unknown."""
        used, total = machine.memory()
        return {
            "t": iso(time.time()),
            "cpu_percent": self._cpu_percent(),
            "job_rss_bytes": processes.resident_bytes(self._session),
            "memory_used_bytes": used,
            "memory_total_bytes": total,
            "gpus": self._gpus(),
        }

    def _work(self) -> None:
        is_last = False
        while not is_last:
            self._write(self.sample())
            is_last = self._over.wait(self._every_s)
        self._write(self.sample())

    def _write(self, sample: dict[str, Any]) -> None:
        # A full disk costs samples, never the job.
        with contextlib.suppress(OSError), open(self._path, "a", encoding="ascii") as file:
            file.write(json.dumps(sample) + "\n")

    def _cpu_percent(self) -> float | None:
        before, self._last_ticks = self._last_ticks, machine.cpu_times()
        if before is None or self._last_ticks is None or self._last_ticks[1] <= before[1]:
            return None
        busy, ticks = self._last_ticks[0] - before[0], self._last_ticks[1] - before[1]
        return round(min(100.0, max(0.0, 100.0 * busy / ticks)), 1)

    def _gpus(self) -> list[dict[str, Any]]:
        try:
            if time.monotonic() >= self._ask_gpus_at:
                self._known = gpus.measure(_GPU_TIMEOUT_S)
                return self._known
        except gpus.GpuToolError:
            # Each try may leave a process behind that nobody can end.
            self._ask_gpus_at = time.monotonic() + _GPU_PAUSE_S
        return [gpus.unknown(gpu) for gpu in self._known]
