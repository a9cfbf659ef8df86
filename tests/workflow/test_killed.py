"""The process is killed with SIGKILL at every stage and around every call to the cloud; the next one finishes the story.

Each case is a real process on the memory cloud's file, killed for real. Afterwards another process takes the run up: it must
end, its results must be here, no machine may be left, and never may there have been two.
"""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudtrain import workflow
from cloudtrain.model.run import Outcome, RunPhase
from cloudtrain.wiring import open_tools
from tests.shares import one_in

CHILD = '''
import dataclasses, os, signal, sys
from pathlib import Path
from cloudtrain import workflow
from cloudtrain.model.event import StageStarted
from cloudtrain.model.spec import JobSpec, MachineSpec
from cloudtrain.wiring import open_tools

place, when = sys.argv[2], sys.argv[3]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def tell(event):
    if isinstance(event, StageStarted) and event.stage == place:
        die()

class Deadly:
    """The provider, with death before or after one of its calls."""

    def __init__(self, provider):
        self._provider = provider
        self.name = provider.name

def deadly(name):
    def call(self, *arguments):
        if (place, when) == (name, "before"):
            die()
        answer = getattr(self._provider, name)(*arguments)
        if (place, when) == (name, "after"):
            die()
        return answer
    return call

for name in ("check", "offers", "launch", "get", "list_owned", "leftovers", "remove", "terminate", "extend", "stop", "start"):
    setattr(Deadly, name, deadly(name))

job = JobSpec("thing", Path(sys.argv[1]), "mkdir -p results; echo done > results/out")
with open_tools(tell) as tools:
    open_provider = tools.open_provider
    tools = dataclasses.replace(tools, open_provider=lambda machine: Deadly(open_provider(machine)))
    workflow.train(job, MachineSpec("cloudy", "memory", instance_types=("mem.cpu",)), tools)
'''

STAGES = [(stage, "") for stage in ("provision", "connect", "upload", "prepare", "check", "run", "collect", "shut down")]
CALLS = [(call, when) for call in ("offers", "list_owned", "launch", "get", "terminate") for when in ("before", "after")]


@pytest.mark.parametrize(("place", "when"), one_in(4, STAGES + CALLS))
def test_killed_there_the_next_process_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, when: str) -> None:
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(tmp_path / "home"))
    job = tmp_path / "job"
    job.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(job), place, when], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

    began = datetime.now(UTC)
    with open_tools() as tools:
        runs = tools.ledger.runs()
        if not runs:
            assert place == "offers"  # Planned and not yet written down: nothing was asked for.
            return
        run = runs[0] if runs[0].phase.is_over else workflow.resume(runs[0], tools)
        provider = tools.open_provider(tools.ledger.machine("cloudy").spec)
        assert not provider.list_owned()  # type: ignore[attr-defined]
        assert tools.ledger.open_intents() == []
    assert run.phase is RunPhase.CLOSED
    assert run.outcome is Outcome.SUCCEEDED or (place, when) in {("get", "after"), ("terminate", "after")}
    assert (run.folder / "results/out").read_text() == "done\n"
    assert len(run.instances) == 1, f"two machines were made (resumed at {began})"
