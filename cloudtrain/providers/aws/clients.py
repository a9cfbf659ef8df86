"""The SDK's clients: one session for each provider object, one client for each service and region, made when first used."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ... import __version__
from ...model.errors import CredentialsError, NotSetUpError, ProviderError, ProviderUnavailableError
from ..base import ProviderSettings
from ..cloud_time import CloudTime
from .credentials import may_have_credentials
from .translate import calling, is_not_opted_in

DEFAULT_REGION = "us-east-1"
GLOBAL_REGION = "us-east-1"
"""Where AWS answers for services that are one for all regions (prices, costs, identities)."""

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
ATTEMPTS = 5
"""How often the SDK sends a request that was throttled or met a 5xx; all of these are safe to repeat."""

THREADS = 32

T = TypeVar("T")


class Clients:
    """Hands out boto3 clients. Safe to use from several threads. boto3 is imported when the first one is asked for."""

    def __init__(self, settings: ProviderSettings) -> None:
        machine = settings.machine
        self.time = CloudTime("AWS")
        self._endpoint_url = machine.endpoint_url if machine is not None else None
        self._wanted_regions = machine.regions if machine is not None else ()
        self._lock = threading.RLock()
        self._made: dict[tuple[str, str, int], Any] = {}
        self._made_session: Any = None
        self._enabled: tuple[str, ...] = ()

    def ec2(self, region: str) -> Any:
        """Return an EC2 client for reading, and for writes that are safe to repeat."""
        return self._client("ec2", region)

    def launching(self, region: str) -> Any:
        """Return an EC2 client that sends each request once.

        EC2 says "no capacity" with HTTP 500, which the SDK takes for a failure of the server and would repeat.
        """
        return self._client("ec2", region, attempts=1)

    def ssm(self, region: str) -> Any:
        """Return a Systems Manager client."""
        return self._client("ssm", region)

    def pricing(self) -> Any:
        """Return a Price List client."""
        return self._client("pricing", GLOBAL_REGION)

    def quotas(self, region: str) -> Any:
        """Return a Service Quotas client."""
        return self._client("service-quotas", region)

    def scheduler(self, region: str) -> Any:
        """Return an EventBridge Scheduler client."""
        return self._client("scheduler", region)

    def sts(self) -> Any:
        """Return a Security Token Service client of the default region."""
        return self._client("sts", self.default_region())

    def s3(self, region: str) -> Any:
        """Return an S3 client."""
        return self._client("s3", region)

    def iam(self) -> Any:
        """Return an Identity and Access Management client."""
        return self._client("iam", GLOBAL_REGION)

    def cost_explorer(self) -> Any:
        """Return a Cost Explorer client."""
        return self._client("ce", GLOBAL_REGION)

    def credentials(self) -> Any:
        """Return the session's credentials, or None when there are none. Looks where the SDK looks.

        Raises:
            ProviderError: the SDK is not installed, or the profile that is named cannot be read.
        """
        with calling(), self._lock:
            return self._session().get_credentials()

    def default_region(self) -> str:
        """Return the region that is meant when nobody names one: the machine config's first, the session's, us-east-1.

        Raises:
            ProviderError: the SDK is not installed, or the profile that is named cannot be read.
        """
        if self._wanted_regions:
            return self._wanted_regions[0]
        with calling(), self._lock:
            return self._session().region_name or DEFAULT_REGION

    def wanted_regions(self) -> tuple[str, ...]:
        """Return where to rent: the machine config's regions, else the default one."""
        return self._wanted_regions or (self.default_region(),)

    def regions(self) -> tuple[str, ...]:
        """Return every region the account has switched on, sorted: where a machine of ours may be. Asked once.

        Raises:
            ProviderError: the cloud refused or did not answer.
        """
        with self._lock:
            if not self._enabled:
                with calling():
                    # Not the machine config's: that may be misspelt, and the answer is the same everywhere.
                    region = self._session().region_name or DEFAULT_REGION
                with calling(region):
                    found = self.ec2(region).describe_regions(AllRegions=False)["Regions"]
                self._enabled = tuple(sorted(each["RegionName"] for each in found))
            return self._enabled

    def in_parallel(self, function: Callable[[str], T], regions: Sequence[str]) -> Mapping[str, T]:
        """Call `function(region)` for all regions at once and return the answers by region, in the order asked.

        A region the account has not switched on has nothing of ours and is left out.

        Raises:
            ProviderUnavailableError: some region could not be asked; a silent one must not look empty.
            ProviderError: all were refused alike.
        """
        if not regions:
            return {}
        answers: dict[str, T] = {}
        failed: dict[str, ProviderError] = {}
        with ThreadPoolExecutor(min(THREADS, len(regions))) as pool:
            waiting = {region: pool.submit(function, region) for region in regions}
            for region, future in waiting.items():
                try:
                    with calling(region):
                        answers[region] = future.result()
                except ProviderError as error:
                    failed[region] = error
        refused = {region: error for region, error in failed.items() if not (answers and is_not_opted_in(error))}
        if refused:
            raise _together(refused, is_all=not answers)
        return answers

    def _client(self, service: str, region: str, attempts: int = ATTEMPTS) -> Any:
        key = (service, region, attempts)
        with self._lock:  # making a client is not safe from several threads; using one is
            if key not in self._made:
                with calling(region):
                    self._made[key] = self._make(service, region, attempts)
            return self._made[key]

    def _make(self, service: str, region: str, attempts: int) -> Any:
        session = self._session()
        from botocore.config import Config  # here, because the SDK is imported when it is used

        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            user_agent_extra=f"cloudtrain/{__version__}",
            **(self._s3_settings() if service == "s3" else {}),
        )
        return session.client(service, region_name=region, endpoint_url=self._endpoint_url, config=config)

    def _s3_settings(self) -> Mapping[str, Any]:
        # Left to itself the SDK makes links of an older kind, and to an address that does not lie in the bucket's region.
        is_own = self._endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        settings = {"us_east_1_regional_endpoint": "regional", "addressing_style": "path" if is_own else "virtual"}
        return {"signature_version": "s3v4", "s3": settings}

    def _note_time(self, http_response: Any, **_: object) -> None:
        self.time.heard(http_response.headers.get("Date"))

    def _session(self) -> Any:
        if self._made_session is None:
            if not may_have_credentials():
                raise NotSetUpError("No credentials for AWS were found on this computer", "aws configure")
            try:
                import boto3
            except ImportError as error:
                raise NotSetUpError("Amazon's SDK is not installed here", "pip install 'cloudtrain[aws]'") from error
            self._made_session = boto3.session.Session()
            self._made_session.events.register("after-call", self._note_time)
        return self._made_session


def _together(failed: Mapping[str, ProviderError], *, is_all: bool) -> ProviderError:
    """Return one error for several regions: the first itself where all were refused alike, else one that names them."""
    first = next(iter(failed.values()))
    alike = all(type(error) is type(first) for error in failed.values())
    if (is_all and alike and not isinstance(first, ProviderUnavailableError)) or isinstance(first, CredentialsError):
        return first
    listed = "; ".join(f"{region}: {error.message}" for region, error in failed.items())
    together = ProviderUnavailableError(f"Not every region could be asked. {listed}", first.hint)
    together.__cause__ = first
    return together
