"""A pretend Google Cloud: Compute Engine and what a rented machine needs beside it, held to Google's own API descriptions."""

from .cloud import GcpCloud

__all__ = ["GcpCloud"]
