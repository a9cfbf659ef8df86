"""What must hold of every machine of the pretend AWS at every moment."""

from collections.abc import Iterator

from .account import Account, Machine
from .moto_app import REGIONS
from .network import Network

PREFIX = "cloudtrain"
LIVE = ("pending", "running")


class Rules:
    """What must hold of an account."""

    def __init__(self, account: Account, network: Network) -> None:
        self._account, self._network = account, network

    def wrong(self) -> Iterator[tuple[str, str]]:
        """Look at everything; give what is wrong as a resource and a sentence about it."""
        for machine in self._account.machines.values():
            if machine.state in LIVE:
                for what in _wrong_with(machine):
                    yield machine.id, what
        for region in REGIONS:
            for group, source in self._network.open_to_all(region):
                yield group, f"the group is open to {source}"


def _wrong_with(machine: Machine) -> Iterator[str]:
    instance = machine.instance
    if not machine.behavior_given:
        yield "it was launched without InstanceInitiatedShutdownBehavior"
    if not machine.user_data:
        yield "it has no user data, so nothing arms its shutdown"
    options = instance.metadata_options
    if options.http_tokens != "required" or int(options.http_put_response_hop_limit) != 1:
        yield f"its metadata answers to {options.http_tokens} tokens over {options.http_put_response_hop_limit} hops"
    if not any(key.startswith(PREFIX) for key in machine.tags):
        yield "it carries no tag of ours"
    root = instance.block_device_mapping.get(instance.root_device_name)
    if root is None or not instance.ec2_backend.volumes[root.volume_id].encrypted:
        yield "its root disk is not encrypted"
    if root is None or not root.delete_on_termination:
        yield "its root disk outlives it"
