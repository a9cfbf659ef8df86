"""Fetch: data that lies in object storage, looked at and priced before money is spent, and read by the machine itself."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from ..model.errors import ConfigError, TransferError
from ..model.event import Note, Progress, Tell
from ..model.money import cents_up
from ..model.spec import JobSpec
from ..model.storage import StoredData
from ..providers.base import OfferSource
from ..providers.object_storage import ObjectStorage
from ..remote.guest import Guest

USD_PER_GB_BETWEEN_REGIONS = 0.02
"""What a cloud asks for data that leaves its storage for another region, USD for 10^9 bytes: for S3 the list price in the
United States and Europe as of 2026-11-21 (aws.amazon.com/s3/pricing, "Data transfer"); for Cloud Storage and Blob Storage that
within North America or within Europe. Other ways cost more, and every sentence that names this price says so."""

FILES_AT_ONCE = 5000
"""How many links are made and handed over at once: each is a long text, and the last must not wait for hours."""


@dataclass(frozen=True, slots=True)
class _Storage:
    """What a cloud's object storage is called, and what a person types to look into it.

    Attributes:
        cloud: on whose machines it can be read.
        ls, cp, sync: commands that list an address, copy what is there, and copy it to a place in another region.
        dearer: which ways between regions cost more than `USD_PER_GB_BETWEEN_REGIONS`.
    """

    cloud: str
    name: str
    ls: str
    cp: str
    sync: str
    dearer: str


_STORAGES = {
    "s3": _Storage(
        "AWS",
        "S3",
        "aws s3 ls {url}",
        "aws s3 cp {url} . --recursive",
        "aws s3 sync {url} s3://A-BUCKET-IN-{region}/",
        "more from some regions outside the United States and Europe",
    ),
    "gs": _Storage(
        "Google Cloud",
        "Cloud Storage",
        "gcloud storage ls {url}",
        "gcloud storage cp --recursive {url} .",
        "gcloud storage rsync --recursive {url} gs://A-BUCKET-IN-{region}/",
        "more between continents",
    ),
    "az": _Storage(
        "Azure",
        "Blob Storage",
        "az storage blob list --auth-mode login --output table --account-name {account} --container-name {container}{prefix}",
        "az storage blob download-batch --auth-mode login --destination . "
        "--account-name {account} --source {container}{pattern}",
        "az storage blob copy start-batch --auth-mode login --account-name AN-ACCOUNT-IN-{region} "
        "--destination-container CONTAINER --source-account-name {account} --source-container {container}{pattern}",
        "more between continents",
    ),
}


def look(job: JobSpec, source: OfferSource) -> Sequence[StoredData]:
    """Return what the job's addresses in object storage hold, having seen that it can be read. Costs next to nothing.

    Raises:
        ConfigError: this provider cannot read there, an address holds nothing, or two would be one folder on the machine.
        ProviderError: there is no such place, or the account may not read it.
    """
    if not job.stored_inputs:
        return ()
    storage = _storage(source, "inputs", job.stored_inputs[0])
    found = [storage.stored(url) for url in job.stored_inputs]
    for data in found:
        _refuse_unfit(data)
    _refuse_same_folder(found)
    return found


def region_of_checkpoints(job: JobSpec, source: OfferSource) -> str:
    """Return the region of the place the job's outputs are copied to, "" when it names none. Asks before money is spent.

    Raises:
        ConfigError: this provider cannot copy there.
        ProviderError: there is no such place, or the account may not look there.
    """
    return _storage(source, "checkpoints", job.checkpoints).region_of(job.checkpoints) if job.checkpoints else ""


def warn_or_refuse(found: Sequence[StoredData], region: str) -> Sequence[str]:
    """Return what a person should read of data that would travel to a machine in `region`, its price first.

    Raises:
        ConfigError: the price of the way is not known, since it leads to another partition of the cloud.
    """
    return [_priced(data, region) for data in found if data.region != region]


def warn_of_checkpoints(job: JobSpec, kept_in: str, region: str) -> Sequence[str]:
    """Return what a person should read of outputs that would be copied from a machine in `region` to `kept_in`."""
    if not job.checkpoints or kept_in == region:
        return ()
    if _partition(kept_in) == _partition(region):
        price = f"${USD_PER_GB_BETWEEN_REGIONS} ({_storage_of(job.checkpoints).dearer})"
    else:
        price = "more than that between regions"
    return (
        f"{job.checkpoints} is in {kept_in} and the machine in {region}: each GB of outputs that is copied there costs about "
        f"{price}, which no budget holds down.",
    )


def transfer_usd(found: Sequence[StoredData], region: str) -> float:
    """Return what it costs to read all of it in a region, USD; within one region it costs nothing."""
    return sum(data.total_bytes for data in found if data.region != region) / 1e9 * USD_PER_GB_BETWEEN_REGIONS


def fetch(
    found: Sequence[StoredData], until: datetime, work: PurePosixPath, source: OfferSource, guest: Guest, tell: Tell
) -> None:
    """Let the machine read the data into the job's folder `work`. Safe to repeat: it goes on where it was.

    `until` is the machine's deadline: no link outlives it.

    Raises:
        TransferError: not everything came.
        ProviderError: no links can be made.
    """
    total, done = sum(data.total_bytes for data in found), 0
    for data in found:
        for start in range(0, len(data.objects), FILES_AT_ONCE):
            some = replace(data, objects=data.objects[start : start + FILES_AT_ONCE])
            _fetch_some(some, until, work, _storage(source, "inputs", data.url), guest, _Part(done, total, tell))
            done += some.total_bytes


def checkpoint_order(job: JobSpec, region: str) -> Mapping[str, Any] | None:
    """Return `checkpoints` as the guest's job.json has it, None when the job names no place for them."""
    if not job.checkpoints:
        return None
    return {"url": f"{job.checkpoints.rstrip('/')}/{job.name}/", "region": region, "outputs": list(job.outputs)}


def restore(job: JobSpec, region: str, work: PurePosixPath, guest: Guest, tell: Tell) -> None:
    """Let the machine bring what an earlier run of the job left at its place; what is newer in `work` stays.

    Raises:
        TransferError: it cannot be read. The job must not start then: it would replace what lies there.
    """
    order = checkpoint_order(job, region)
    if order is not None:
        told = _Part(0, 0, tell)
        guest.restore(work, {"checkpoints": order, "env": dict(job.env)}, told.bytes, told.text)


class _Part:
    """A part of what travels, told as a part of the whole."""

    def __init__(self, before: int, total: int, tell: Tell) -> None:
        self._before, self._total, self._tell = before, total, tell

    def bytes(self, done: int, total: int) -> None:
        self._tell(Progress("fetch", self._before + done, self._total or total))

    def text(self, text: str) -> None:
        self._tell(Note(text, "detail"))


def _storage(source: OfferSource, field: str, url: str) -> ObjectStorage:
    if isinstance(source, ObjectStorage):
        return source
    raise ConfigError(
        f"a machine of {source.name} cannot reach {url}",
        f"Choose a machine on {_storage_of(url).cloud}, or bring the data into the job's folder and name it there.",
        field=field,
    )


def _storage_of(url: str) -> _Storage:
    return _STORAGES.get(url.partition("://")[0], _STORAGES["s3"])


def _line(pattern: str, url: str, region: str = "") -> str:
    account, _, below = url.partition("://")[2].partition("/")
    container, _, name = below.partition("/")
    return pattern.format(
        url=shlex.quote(url),
        region=region,
        account=shlex.quote(account),
        container=shlex.quote(container),
        prefix=f" --prefix {shlex.quote(name)}" if name else "",
        pattern=f" --pattern {shlex.quote(f'{name}*')}" if name else "",
    )


def _refuse_unfit(data: StoredData) -> None:
    if not data.objects:
        raise ConfigError(
            f"there is nothing at {data.url}", f"Look: {_line(_storage_of(data.url).ls, data.url)}", field="inputs"
        )
    known = {each.name for each in data.objects}
    for name in known:
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ConfigError(
                f"{data.url} holds {name!r}, which is no name of a file inside a folder", "Rename it there.", field="inputs"
            )
        above = next((each for each in ("/".join(parts[:end]) for end in range(1, len(parts))) if each in known), None)
        if above is not None:
            raise ConfigError(
                f"{data.url} holds {above!r} and {name!r}: on a disk the first cannot be a file and a folder",
                "Rename one of them there.",
                field="inputs",
            )


def _refuse_same_folder(found: Sequence[StoredData]) -> None:
    taken: dict[str, str] = {}
    for data in found:
        place = data.folder or data.objects[0].name
        if taken.setdefault(place, data.url) != data.url:
            raise ConfigError(
                f"{taken[place]} and {data.url} would both be {place!r} in the job's folder",
                "Name a folder above one of them.",
                field="inputs",
            )


def _priced(data: StoredData, region: str) -> str:
    if _partition(data.region) != _partition(region):
        raise ConfigError(
            f"{data.url} is in {data.region}, and what it costs to read it in {region} is not known",
            f"Copy it first: {_line(_storage_of(data.url).sync, data.url, region)}",
            field="inputs",
        )
    return (
        f"{data.url} is in {data.region} and the machine in {region}: {data.total_bytes / 1e9:.2f} GB from there cost about "
        f"{cents_up(transfer_usd([data], region))}, at ${USD_PER_GB_BETWEEN_REGIONS}/GB "
        f"({_storage_of(data.url).dearer}), which no budget holds down. A machine in {data.region} reads it for nothing."
    )


def _partition(region: str) -> str:
    return next((name for name in ("cn-", "us-gov-", "us-iso", "eusc-") if region.startswith(name)), "")


def _fetch_some(
    data: StoredData, until: datetime, work: PurePosixPath, storage: ObjectStorage, guest: Guest, told: _Part
) -> None:
    """Fetch with links; where they ended too soon, once more with new ones for as long as something comes."""
    best = -1
    while True:
        came = _Came(told)
        links = storage.links(data, until)
        files = [
            {"name": data.place(each.object.name), "url": each.url, "bytes": each.object.bytes, "etag": each.object.etag}
            for each in links
        ]
        if guest.fetch(work, files, came.bytes, told.text):
            return
        if came.most <= best:
            kind = _storage_of(data.url)
            raise TransferError(
                f"{kind.name} does not let the machine read {data.url}", f"Look whether you may: {_line(kind.cp, data.url)}"
            )
        best = came.most


class _Came:
    """Remembers how far it came."""

    def __init__(self, told: _Part) -> None:
        self.most, self._told = 0, told

    def bytes(self, done: int, total: int) -> None:
        self.most = max(self.most, done)
        self._told.bytes(done, total)
