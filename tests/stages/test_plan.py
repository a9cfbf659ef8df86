"""The plan: what fits, in which order, with which lease, and a clear no."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cloudtrain.model.errors import ConfigError, NoOfferFitsError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Budget, Framework, JobSpec, MachineSpec, Market, OnFinish, Resources
from cloudtrain.stages.plan import make_plan

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def offer(instance_type: str, usd: float | None, *, gpu: str = "T4", capability: str = "7.5", region: str = "r1") -> Offer:
    return Offer(
        "shop",
        instance_type,
        region,
        usd_per_hour=usd,
        priced_on=date(2026, 8, 3),
        vcpus=4,
        memory_gib=16,
        gpu=gpu,
        gpu_count=1,
        gpu_memory_gib=16,
        compute_capability=capability,
    )


class Shop:
    """An offer source with a fixed stock."""

    name = "shop"

    def __init__(self, *stock: Offer) -> None:
        self.stock = stock

    def check(self) -> list[object]:
        return []

    def offers(self, need: Resources) -> list[Offer]:
        return [o for o in self.stock if o.satisfies(need)]


MACHINE = MachineSpec("shop-any", "shop")
JOB = JobSpec("job", Path("/nowhere"), "true", framework=Framework.TENSORFLOW)


def types(plan: object) -> list[str]:
    return [attempt.offers[0].instance_type for attempt in plan.attempts]  # type: ignore[attr-defined]


def test_cheapest_comes_first_and_an_unknown_price_last() -> None:
    plan = make_plan(MACHINE, Shop(offer("b", 2.0), offer("unknown", None), offer("a", 1.0)), NOW, job=JOB)
    assert types(plan) == ["a", "b", "unknown"]


def test_the_order_of_the_config_beats_the_price() -> None:
    machine = replace(MACHINE, instance_types=("b", "a"))
    assert types(make_plan(machine, Shop(offer("a", 1.0), offer("b", 2.0)), NOW, job=JOB)) == ["b", "a"]


def test_regions_and_market_of_the_config_are_kept() -> None:
    machine = replace(MACHINE, regions=("r2",), market=Market.SPOT)
    stock = [offer("a", 1.0), offer("a", 1.0, region="r2"), replace(offer("a", 0.3, region="r2"), market=Market.SPOT)]
    plan = make_plan(machine, Shop(*stock), NOW, job=JOB)
    assert [(a.offers[0].region, a.offers[0].market) for a in plan.attempts] == [("r2", Market.SPOT)]


def test_the_job_and_the_machine_config_both_have_a_say() -> None:
    machine = replace(MACHINE, resources=Resources(cpus=4))
    with pytest.raises(NoOfferFitsError, match="2 GPU"):
        make_plan(machine, Shop(offer("a", 1.0)), NOW, job=replace(JOB, resources=Resources(gpus=2)))
    with pytest.raises(NoOfferFitsError, match="8 vCPU"):
        make_plan(replace(MACHINE, resources=Resources(cpus=8)), Shop(offer("a", 1.0)), NOW, job=JOB)


def test_an_old_gpu_is_refused_and_the_cheapest_that_will_do_is_named() -> None:
    shop = Shop(offer("old", 0.9, gpu="K80", capability="3.7"), offer("new", 1.1), offer("newer", 1.5))
    machine = replace(MACHINE, instance_types=("old",))
    with pytest.raises(NoOfferFitsError) as refusal:
        make_plan(machine, shop, NOW, job=JOB)
    assert "3.7" in refusal.value.message
    assert "K80" in refusal.value.message
    assert "new (T4) at $1.100/h" in refusal.value.hint
    assert "--allow-unsupported-gpu" in refusal.value.hint


def test_an_old_gpu_can_be_insisted_on_and_is_warned_about() -> None:
    plan = make_plan(MACHINE, Shop(offer("old", 0.9, gpu="K80", capability="3.7")), NOW, job=JOB, allow_unsupported_gpu=True)
    assert types(plan) == ["old"]
    assert "K80" in plan.warnings[0]


def test_a_job_without_framework_takes_any_gpu() -> None:
    plan = make_plan(MACHINE, Shop(offer("old", 0.9, capability="3.7")), NOW, job=replace(JOB, framework=Framework.NONE))
    assert types(plan) == ["old"]


def test_tensorflow_is_kept_off_gpus_it_has_no_kernels_for() -> None:
    with pytest.raises(NoOfferFitsError, match=r"12\.0"):
        make_plan(MACHINE, Shop(offer("blackwell", 3.0, capability="12.0")), NOW, job=JOB)


def test_an_arm_machine_is_no_alternative_for_tensorflow() -> None:
    shop = Shop(offer("old", 0.9, gpu="K80", capability="3.7"), offer("arm", 0.4, gpu="T4G"), offer("new", 1.1))
    with pytest.raises(NoOfferFitsError) as refusal:
        make_plan(replace(MACHINE, instance_types=("old",)), shop, NOW, job=JOB)
    assert "new (T4)" in refusal.value.hint
    with pytest.raises(NoOfferFitsError, match="Arm"):
        make_plan(replace(MACHINE, instance_types=("arm",)), shop, NOW, job=JOB)
    torch = replace(JOB, framework=Framework.PYTORCH)
    assert types(make_plan(replace(MACHINE, instance_types=("arm",)), shop, NOW, job=torch)) == ["arm"]


def test_dollars_become_a_deadline() -> None:
    plan = make_plan(MACHINE, Shop(offer("a", 2.0)), NOW, budget=Budget(5.0))
    lease = plan.attempts[0].lease
    assert (lease.deadline - NOW).total_seconds() == 2.5 * 3600
    assert lease.bound_by == "budget"
    assert lease.most_usd(NOW) == pytest.approx(5.0)


def test_a_price_nobody_knows_cannot_be_capped() -> None:
    with pytest.raises(NoOfferFitsError, match="no price is known"):
        make_plan(MACHINE, Shop(offer("a", None)), NOW, budget=Budget(5.0))


def test_a_budget_for_a_few_minutes_is_refused_with_the_one_that_would_do() -> None:
    with pytest.raises(NoOfferFitsError) as refusal:
        make_plan(MACHINE, Shop(offer("a", 12.0)), NOW, budget=Budget(0.5))
    assert "--budget 1.00" in refusal.value.hint


def test_stopping_is_refused_where_the_provider_cannot() -> None:
    with pytest.raises(ConfigError, match="cannot stop"):
        make_plan(MACHINE, Shop(offer("a", 1.0)), NOW, job=replace(JOB, on_finish=OnFinish.STOP))


def test_a_region_that_no_offer_has_is_named_with_the_one_that_was_meant() -> None:
    machine = MachineSpec("m", "shop", regions=("us-eest-1",))
    shop = Shop(offer("a", 1.0, region="us-east-1"), offer("a", 1.0, region="eu-west-1"))
    with pytest.raises(NoOfferFitsError) as refused:
        make_plan(machine, shop, NOW)
    assert "No offer is in us-eest-1; did you mean us-east-1?" in refused.value.hint
    with pytest.raises(NoOfferFitsError) as refused:
        make_plan(replace(machine, regions=("mars",)), shop, NOW)
    assert "there are eu-west-1, us-east-1" in refused.value.hint
    with pytest.raises(NoOfferFitsError) as refused:
        make_plan(replace(machine, regions=("eu-west-1",), instance_types=("b",)), shop, NOW)
    assert "No offer is in" not in refused.value.hint
