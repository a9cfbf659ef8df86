"""What one of several processes does in test_spend.py: `spend_worker.py HOME`."""

import sys
from datetime import timedelta
from pathlib import Path

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState
from cloudtrain.testing.clock import NOON, FakeClock


def wait() -> None:
    """Say that this is done, and wait for the word."""
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """Write down the same twenty machines as everybody else: opened at noon, ended at one."""
    with Ledger.open(Path(sys.argv[1]), FakeClock()) as ledger:
        machines = [
            Instance(InstanceRef("memory", f"mem-{number}"), f"m{number}", InstanceState.RUNNING, usd_per_hour=1.0)
            for number in range(20)
        ]
        wait()
        for machine in machines:
            ledger.spend.opened(machine, None, "run", NOON)
        wait()
        for machine in machines:
            ledger.spend.ended(machine.ref, NOON + timedelta(hours=1))


if __name__ == "__main__":
    main()
