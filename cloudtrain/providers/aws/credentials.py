"""Whether this computer has credentials for AWS, found out without the network."""

from ..extras import is_installed

NETWORK_SOURCES = ("iam-role", "container-role")
"""Where botocore would look for credentials over the network: places of a machine in the cloud, not of a laptop."""


def credentials_source() -> str:
    """Return where credentials were found ("shared-credentials-file"), or "" when there are none or no SDK."""
    if not is_installed("boto3"):
        return ""
    import botocore.session  # here, because only a question to the cloud needs the SDK
    from botocore.exceptions import BotoCoreError

    try:
        resolver = botocore.session.Session().get_component("credential_provider")
        for source in NETWORK_SOURCES:
            resolver.remove(source)
        credentials = resolver.load_credentials()
    except BotoCoreError:
        # A profile that does not exist or a broken file: there are no credentials to use.
        return ""
    return "" if credentials is None else str(credentials.method)
