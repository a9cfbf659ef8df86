"""What of a machine bills, and at which price: charges as they are opened."""

from dataclasses import replace
from datetime import datetime

from ..model.instance import Instance, LaunchOrder
from ..model.money import HOURS_PER_MONTH, Charge, ChargeKind
from ..model.offer import Offer

_LEAST_USD_PER_HOUR = 1e-9
"""What is smaller is what floating point left over when one price was taken from another."""


def charges_of(
    instance: Instance, offer: Offer | None, order: LaunchOrder | None, run_id: str, at: datetime, last: Charge | None
) -> list[Charge]:
    """Return what a machine that is on bills, all of it together the offer's or else the instance's full price.

    `order` is what it was launched by, `last` its compute as it was charged before; both may be unknown. Nothing is returned
    where no meter runs.
    """
    priced = offer if offer is not None and offer.instance_type == instance.instance_type else None
    usd = priced.usd_per_hour if priced is not None else instance.usd_per_hour
    beside = priced.beside_usd_per_hour if priced is not None else instance.beside_usd_per_hour
    if usd == 0.0 and beside < _LEAST_USD_PER_HOUR:
        return []
    disk = min(beside, instance.usd_per_month_stopped / HOURS_PER_MONTH)
    compute = _compute(instance, order, run_id, at, usd)
    if priced is not None:
        compute = replace(compute, market=priced.market, priced_on=priced.priced_on, source=priced.source)
    elif last is not None and last.usd_per_hour == usd:
        compute = replace(compute, priced_on=last.priced_on, source=last.source)
    beside_it = ((ChargeKind.DISK, disk), (ChargeKind.ADDRESS, beside - disk))
    return [compute] + [
        replace(compute, kind=kind, usd_per_hour=rate) for kind, rate in beside_it if rate >= _LEAST_USD_PER_HOUR
    ]


def residual_of(instance: Instance, order: LaunchOrder | None, at: datetime, last: Charge | None) -> Charge | None:
    """Return what a machine bills that is stopped, None when nothing is known to."""
    usd = instance.usd_per_month_stopped / HOURS_PER_MONTH
    if usd < _LEAST_USD_PER_HOUR:
        return None
    charge = replace(_compute(instance, order, "", at, usd), kind=ChargeKind.DISK, deadline=None)
    return charge if last is None else replace(charge, priced_on=last.priced_on, source=last.source)


def _compute(instance: Instance, order: LaunchOrder | None, run_id: str, at: datetime, usd: float | None) -> Charge:
    return Charge(
        ref=instance.ref,
        name=instance.name,
        run_id=run_id,
        instance_type=instance.instance_type,
        market=instance.market,
        kind=ChargeKind.COMPUTE,
        usd_per_hour=usd,
        priced_on=None,
        began_at=at,
        source="cloud",
        token=instance.token,
        endpoint_url=order.machine.endpoint_url if order is not None else None,
        account=order.machine.account if order is not None else "",
        deadline=instance.deadline or (order.lease.deadline if order is not None else None),
    )
