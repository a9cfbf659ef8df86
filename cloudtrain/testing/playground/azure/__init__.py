"""A pretend Azure: Resource Manager over TLS, strict by the SDK wheels' own models, with machines that bill as Azure's do."""

from .cloud import AzureCloud
from .pace import pace_as_azure

__all__ = ["AzureCloud", "pace_as_azure"]
