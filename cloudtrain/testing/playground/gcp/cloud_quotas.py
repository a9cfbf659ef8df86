"""Cloud Quotas: the limits of GPUs by family, which is the only place that shows those of the newer ones."""

from .account import Account, Body, Handler
from .errors import not_found
from .hardware import ACCELERATORS, REGIONS
from .quotas import Quotas
from .wire import GoogleCall

SERVICE = "compute.googleapis.com"
LOCATION = "global"


class CloudQuotas:
    """Answers what asks for limits by family."""

    def __init__(self, account: Account, quotas: Quotas) -> None:
        self._account, self._quotas = account, quotas

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        below = "cloudquotas.projects.locations.services.quotaInfos"
        return {f"{below}.list": self._list, f"{below}.get": self._get}

    def _list(self, call: GoogleCall) -> Body:
        found = self._infos(call.path["parent"])
        start = int(str(call.query.get("pageToken", "")) or 0)
        end = start + (int(call.query.get("pageSize", 0)) or len(found))
        reply: Body = {"quotaInfos": found[start:end]}
        return reply | ({"nextPageToken": str(end)} if end < len(found) else {})

    def _get(self, call: GoogleCall) -> Body:
        parent, _, wanted = call.path["name"].rpartition("/quotaInfos/")
        for info in self._infos(parent):
            if info["quotaId"] == wanted:
                return info
        raise not_found(call.path["name"])

    def _infos(self, parent: str) -> list[Body]:
        if parent.split("/")[1] not in (self._account.project, self._account.number) or not parent.endswith(f"/{SERVICE}"):
            raise not_found(parent)
        families = {one.family: one.metric for one in ACCELERATORS.values()}
        infos = [
            self._info(parent, "GPUS-ALL-REGIONS-per-project", "gpus_all_regions", [], [self._everywhere("GPUS_ALL_REGIONS")]),
            self._info(parent, "CPUS-ALL-REGIONS-per-project", "cpus_all_regions", [], [self._everywhere("CPUS_ALL_REGIONS")]),
        ]
        for prefix in ("", "PREEMPTIBLE-"):
            rows = [
                self._row(region, family, prefix.replace("-", "_") + (metric or family))
                for family, metric in families.items()
                for region in REGIONS
            ]
            metric = f"{prefix.lower().replace('-', '_')}gpus_per_gpu_family"
            infos.append(
                self._info(parent, f"{prefix}GPUS-PER-GPU-FAMILY-per-project-region", metric, ["region", "gpu_family"], rows)
            )
        return infos

    def _row(self, region: str, family: str, metric: str) -> Body:
        return {
            "dimensions": {"region": region, "gpu_family": family},
            "details": {"value": str(int(self._quotas.limit(metric, region)))},
            "applicableLocations": [region],
        }

    def _everywhere(self, metric: str) -> Body:
        return {"details": {"value": str(int(self._quotas.limit(metric, "")))}, "applicableLocations": [LOCATION]}

    def _info(self, parent: str, quota_id: str, metric: str, dimensions: list[str], rows: list[Body]) -> Body:
        return {
            "name": f"{parent}/quotaInfos/{quota_id}",
            "quotaId": quota_id,
            "metric": f"{SERVICE}/{metric}",
            "service": SERVICE,
            "isPrecise": True,
            "containerType": "PROJECT",
            "dimensions": dimensions,
            "metricDisplayName": metric.replace("_", " "),
            "quotaDisplayName": metric.replace("_", " "),
            "metricUnit": "1",
            "quotaIncreaseEligibility": {"isEligible": True},
            "dimensionsInfos": rows,
        }
