"""A run that the ledger has lost and whose folder is here is written down again, so that it can be taken up."""

from dataclasses import replace
from pathlib import Path

from .journey import Tools
from .model.errors import CloudtrainError, InstanceNotFoundError, LedgerError, NotFoundError
from .model.event import Note
from .model.plain import from_plain
from .model.run import Run, RunPhase
from .model.spec import JobSpec, MachineSpec
from .report.first_record import LEDGER_KEY
from .report.run_file import RUN_FILE, read_run_file
from .whereabouts import remember_name, rentable

_BEFORE_ITS_JOB = (RunPhase.PLANNED, RunPhase.PROVISIONING, RunPhase.CONNECTING, RunPhase.UPLOADING)


def run_named(word: str, tools: Tools, folder: Path) -> Run:
    """Return a run by its id or an unmistakable part of it: by the ledger, or else by the folder of a job, `folder`.

    Raises:
        NotFoundError: neither knows it, it may mean several, or its machine is somebody else's.
        ProviderError: whose its machine is could not be asked.
        CloudtrainError: its folder is here, and what stands there is damaged.
    """
    try:
        return tools.ledger.run(word)
    except NotFoundError:
        found = [path.parent for path in (folder / "runs").glob(f"*/{RUN_FILE}") if _is_meant(path.parent.name, word)]
        if len(found) != 1 or found[0].name in {run.id for run in tools.ledger.open_runs()}:
            raise
    return _written_down_again(found[0].resolve(), tools)


def _is_meant(id: str, word: str) -> bool:
    return word != "" and (id.startswith(word) or id.endswith(word))


def _written_down_again(folder: Path, tools: Tools) -> Run:
    run, job, machine = _read(folder)
    if run.phase in _BEFORE_ITS_JOB and job.env:
        raise CloudtrainError(
            f"{run.id} was {run.phase.value}: its job had not begun, and what its environment held is lost with the ledger",
            f"End its machine: cloudtrain terminate {run.machine}\nThen train again.",
        )
    if not run.phase.is_over:
        _refuse_anothers(run, machine, tools)
        remember_name(machine, tools)
    try:
        tools.ledger.add_run(run, job)
    except LedgerError:
        return tools.ledger.run(run.id)  # another process did at the same moment
    tools.tell(Note(f"The ledger has lost {run.id}; it was written down again from its folder."))
    return run


def _refuse_anothers(run: Run, machine: MachineSpec, tools: Tools) -> None:
    """Refuse a run whose machine is somebody else's: a folder may have come from anywhere, and a run ends its machine."""
    provider = rentable(tools.open_provider(machine), machine)
    for ref in run.instances:
        try:
            owner = provider.get(ref).owner
        except InstanceNotFoundError:
            continue  # a machine that is gone cannot be ended by the wrong one
        if owner != tools.owner:
            raise NotFoundError(f"{ref.id}, the machine of {run.id}, is not yours: {owner} ordered it")


def _read(folder: Path) -> tuple[Run, JobSpec, MachineSpec]:
    """Read a run from its folder, which may have been moved since."""
    part = read_run_file(folder).get(LEDGER_KEY)
    try:
        if not isinstance(part, dict):
            raise ValueError("it does not say what the ledger held")
        run, job = from_plain(Run, part["run"]), from_plain(JobSpec, part["job"])
        machine = from_plain(MachineSpec, part["machine"])
        if run.id != folder.name:
            raise ValueError(f"it is the record of {run.id}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CloudtrainError(
            f"{folder / RUN_FILE} cannot be taken up: {error}",
            "Look for the machine itself: cloudtrain status",
        ) from error
    return replace(run, folder=folder), replace(job, folder=folder.parent.parent), machine
