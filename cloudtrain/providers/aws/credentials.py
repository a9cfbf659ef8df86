"""Whether this computer has credentials for AWS, found out without the network."""

import os
from pathlib import Path

from ..extras import is_installed

NETWORK_SOURCES = ("iam-role", "container-role")
"""Where botocore would look for credentials over the network: places of a machine in the cloud, not of a laptop."""


_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "BOTO_CONFIG",
)
_FILES = ("~/.aws/credentials", "~/.aws/config", "~/.boto", "/etc/boto.cfg")


def may_have_credentials() -> bool:
    """Say whether there is anything that credentials could come from. Costs nothing; loading the SDK costs half a second."""
    return any(os.environ.get(name) for name in _VARIABLES) or any(Path(name).expanduser().exists() for name in _FILES)


def credentials_source() -> str:
    """Return where credentials were found ("shared-credentials-file"), or "" when there are none or no SDK."""
    if not may_have_credentials() or not is_installed("boto3"):
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
