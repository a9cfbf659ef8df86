"""What a run has made on its way home: output by output, so that a line that breaks costs none of those that came."""

from dataclasses import replace

from .journey import Journey
from .model.event import Tell
from .remote.base import Remote
from .rescuing import drop
from .stages.collect import Collected, collect, collect_log


class Homecoming:
    """Brings a run's outputs, its log and its samples here, over as many lines as it takes."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self._came: dict[str, Collected] = {}

    def bring(self, remote: Remote, tell: Tell) -> None:
        """Bring what has not come yet, and write down what came and what could not.

        Raises:
            HostUnreachableError: the line broke; calling again over a new one is safe.
        """
        journey = self._journey
        home, folder = journey.home(remote), journey.run.folder
        for name in journey.job.outputs:
            if name not in self._came:
                self._came[name] = collect(replace(journey.job, outputs=(name,)), home, folder, remote, tell)
        names = tuple(name for came in self._came.values() for name in came.names)
        missed = tuple(reason for came in self._came.values() for reason in came.missed)
        drop(folder, names)
        journey.record["outputs"] = list(names)
        if missed:
            journey.results_missed(missed)
        collect_log(home, folder, remote)
