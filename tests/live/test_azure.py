"""The law for providers on a real Azure subscription, with its cheapest machine: Standard_B1s, in eastus or
CLOUDTRAIN_LIVE_REGION.

    CLOUDTRAIN_LIVE=azure pytest tests/live/test_azure.py

Expected cost: about $0.15, at most $0.50. Some 50 machines, each for one to ten minutes at about $0.0104 an hour (2026), with a
disk of 30 GiB and a public address. No machine has a lease longer than half an hour, and Azure itself deallocates it then.
Everything carries the owner `cloudtrain-live-test`; what a test leaves is ended after it, and what is there of that owner at
the end is ended and removed, whatever happened. After `cloudtrain setup azure` the machines may end themselves, too.

Not yet run against the real cloud. The playground's exports lead it there instead, without a bill.
"""

from cloudtrain.testing.provider_contract import ProviderContract

from .renting import Rented, machine_of


class TestAzure(Rented, ProviderContract):
    """All of it."""

    MACHINE = machine_of("azure", "eastus", ("Standard_B1s", "Standard_B2s"), disk_gb=30)
