"""cloudtrain: rent a cloud GPU from a laptop, train on it, and give it back.

The names below are the public Python interface; see `cloudtrain.api`. They are loaded when first used, because the command
line must answer before a person notices.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import cost, load, plan, resume, status, train
    from .model.errors import CloudtrainError, ConfigError
    from .model.plan import Plan
    from .model.run import Outcome, Run, RunPhase
    from .model.spec import Budget, JobSpec, MachineSpec, Resources
    from .model.statement import Statement
    from .overview import Status

__all__ = [
    "Budget",
    "CloudtrainError",
    "ConfigError",
    "JobSpec",
    "MachineSpec",
    "Outcome",
    "Plan",
    "Resources",
    "Run",
    "RunPhase",
    "Statement",
    "Status",
    "__version__",
    "cost",
    "load",
    "plan",
    "resume",
    "status",
    "train",
]

_HOMES = {
    "Budget": ".model.spec",
    "CloudtrainError": ".model.errors",
    "ConfigError": ".model.errors",
    "JobSpec": ".model.spec",
    "MachineSpec": ".model.spec",
    "Outcome": ".model.run",
    "Plan": ".model.plan",
    "Resources": ".model.spec",
    "Run": ".model.run",
    "RunPhase": ".model.run",
    "Statement": ".model.statement",
    "Status": ".overview",
    "cost": ".api",
    "load": ".api",
    "plan": ".api",
    "resume": ".api",
    "status": ".api",
    "train": ".api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
