"""What a provider may be beside what `base` says: a way to the object storage of its cloud."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from ..model.storage import Link, StoredData


@runtime_checkable
class ObjectStorage(Protocol):
    """Can read its cloud's object storage for a machine that has no credentials there.

    Such a provider takes orders with `checkpoints` too: that machine, and it alone, may read and write that one folder.
    (On Azure it is the folder's whole container.)
    """

    def region_of(self, url: str) -> str:
        """Return the region that keeps what lies at an address ("s3://bucket/data/").

        Raises:
            PermissionDeniedError: the account may not look there.
            ProviderError: there is no such place, or it cannot be asked.
        """
        ...

    def stored(self, url: str) -> StoredData:
        """Return all that lies at an address, an object or a folder, having seen that it can be read. It may be nothing.

        Raises:
            PermissionDeniedError: the account may not look there, or not read there.
            ProviderError: there is no such place, or it cannot be asked.
        """
        ...

    def links(self, data: StoredData, until: datetime) -> Sequence[Link]:
        """Return a link for each object, in their order, good until then at the latest. Asks nobody.

        Links may end sooner (at seven days, or with the credentials they were made with); then others can be made.

        Raises:
            ProviderError: that time is over, or there are no credentials.
        """
        ...

    def right_to(self, url: str) -> str:
        """Say in a sentence what a launch with checkpoints there makes for its machine, and when that goes. Asks nobody."""
        ...
