"""The law for providers, kept by the AWS adapter on the pretend AWS."""

from cloudtrain.testing.provider_contract import ProviderContract


class TestAws(ProviderContract):
    """All of it."""
