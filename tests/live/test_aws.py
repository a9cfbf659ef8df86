"""The law for providers on a real AWS account, with its cheapest machine: t3.micro in us-east-1 or CLOUDTRAIN_LIVE_REGION.

    CLOUDTRAIN_LIVE=aws pytest tests/live/test_aws.py

Expected cost: about $0.05, at most $0.50. Some 50 machines, each for one to five minutes at $0.0104 an hour (2026), with disks
of 8 GiB. No machine has a lease longer than half an hour. Everything carries the owner `cloudtrain-live-test`; what a test
leaves is ended after it, and what is there of that owner at the end is ended and removed, whatever happened.

Not yet run against the real cloud. The playground's exports lead it there instead, without a bill.
"""

from cloudtrain.testing.provider_contract import ProviderContract

from .renting import Rented, machine_of


class TestAws(Rented, ProviderContract):
    """All of it."""

    MACHINE = machine_of("aws", "us-east-1", ("t3.micro",), disk_gb=8)
