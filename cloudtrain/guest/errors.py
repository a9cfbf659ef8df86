"""What the guest says when it cannot do what it was asked."""


class GuestError(Exception):
    """Say in one sentence, for a person, why a command could not be carried out."""
