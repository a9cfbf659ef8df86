"""The law for providers, kept by the Google Cloud adapter on the pretend Google Cloud."""

from cloudtrain.testing.kept_deadline_contract import KeptDeadlineContract


class TestGcp(KeptDeadlineContract):
    """All of it; Google lets no machine that runs live longer."""
