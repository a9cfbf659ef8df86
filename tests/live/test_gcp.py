"""The law for providers on a real Google Cloud project, with its cheapest machine: e2-micro, in us-central1 or
CLOUDTRAIN_LIVE_REGION.

    CLOUDTRAIN_LIVE=gcp pytest tests/live/test_gcp.py

Expected cost: about $0.10, at most $0.50. Some 30 machines, each for one to five minutes at about $0.0084 an hour (2026), with
a disk of 10 GiB and a public address. No machine has a lease longer than half an hour, and Google itself deletes it then.
Everything carries the owner `cloudtrain-live-test`; what a test leaves is ended after it, and what is there of that owner at
the end is ended and removed, whatever happened.

Not yet run against the real cloud. The playground's exports lead it there instead, without a bill.
"""

from cloudtrain.testing.kept_deadline_contract import KeptDeadlineContract

from .renting import Rented, machine_of


class TestGcp(Rented, KeptDeadlineContract):
    """All of it; Google lets no machine that runs live longer."""

    MACHINE = machine_of("gcp", "us-central1", ("e2-micro", "e2-small"), disk_gb=10)
