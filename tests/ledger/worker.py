"""What one of several processes does with the ledger in test_concurrency.py: `worker.py HOME NAME COUNT TASK`."""

import sys
from dataclasses import replace
from pathlib import Path

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import LedgerError
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState
from cloudtrain.model.run import Run, RunPhase
from cloudtrain.model.spec import JobSpec, MachineSpec
from cloudtrain.testing.clock import FakeClock

STORY = (RunPhase.PROVISIONING, RunPhase.CONNECTING, RunPhase.UPLOADING, RunPhase.RUNNING, RunPhase.COLLECTING)
JOB = JobSpec("digits", Path("/job"), "true")


def walk(ledger: Ledger, name: str, count: int) -> None:
    """Take `count` runs of one's own through the phases, saving machines on the way."""
    for number in range(count):
        run = Run(f"{name}-{number:03}", "digits", name, Path("/r"))
        ledger.add_run(run, JOB)
        for phase in STORY:
            run = ledger.advance(run, replace(run, phase=phase, usd=run.usd + 1))
        spec = MachineSpec(f"{name}-{number:03}", "memory")
        ledger.save_machine(spec, None)
        ledger.see(Instance(InstanceRef("memory", f"mem-{number}"), spec.name, InstanceState.RUNNING))


def race(ledger: Ledger, name: str, count: int) -> None:
    """Try to be the one that moves each of the shared runs on; print those that were won."""
    for number in range(count):
        run = Run(f"shared-{number:03}", "digits", "m", Path("/r"))
        try:
            ledger.advance(run, replace(run, phase=RunPhase.PROVISIONING, reason=name))
        except LedgerError:
            continue
        print(run.id)


def claim(ledger: Ledger, name: str, count: int) -> None:
    """Try to claim each of the shared runs; print those that were won."""
    for number in range(count):
        if ledger.claim(f"shared-{number:03}", f"another-host:{name}:1"):
            print(f"shared-{number:03}")


def forever(ledger: Ledger, name: str, count: int) -> None:
    """Walk without end, saying after each round that it is written."""
    for number in range(10**9):
        walk(ledger, f"{name}{number}", count)
        print(number, flush=True)


def main() -> None:
    """Open, wait for the word, do the task."""
    home, name, count, task = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    if task != "open":
        ledger = Ledger.open(home, FakeClock())
    print("ready", flush=True)
    sys.stdin.readline()
    if task == "open":
        ledger = Ledger.open(home, FakeClock())
        ledger.save_machine(MachineSpec(name, "memory"), None)
    else:
        {"walk": walk, "race": race, "claim": claim, "forever": forever}[task](ledger, name, count)
    ledger.close()


if __name__ == "__main__":
    main()
