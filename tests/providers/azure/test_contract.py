"""The law for providers, kept by the Azure adapter on the pretend Azure."""

from cloudtrain.testing.provider_contract import ProviderContract


class TestAzure(ProviderContract):
    """All of it."""
