"""How long things take on the real Azure, for people who try the playground; tests want none of it."""

from .cloud import AzureCloud

ROLE_S = 600.0


def pace_as_azure(cloud: AzureCloud) -> AzureCloud:
    """Let a cloud be about as slow as Azure where that matters to a caller, and return it."""
    durations = cloud.durations
    durations.retry_after = 1.0
    durations.create, durations.start, durations.deallocate, durations.delete = 3.0, 2.0, 3.0, 3.0
    durations.role, durations.register, durations.driver = ROLE_S, 5.0, 8.0
    return cloud
