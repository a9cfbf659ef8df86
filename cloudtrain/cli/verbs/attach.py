"""attach: a run that was left is taken up again."""

from ... import watching, workflow
from ...model.errors import RunHeldError
from ..options import JsonLines, RunId, Yes
from ..outcome import leave
from ..render import note
from ..runs import run_to_go_on_with
from ..session import open_session

EXAMPLES = """
cloudtrain attach
cloudtrain attach 7f3a
"""


def attach(run: RunId = None, yes: Yes = False, as_json: JsonLines = False) -> None:
    """Go on with a run: follow its job, collect, shut down.

    When another cloudtrain looks after the run, its log is followed until the job ends, and nothing else is done.
    """
    with open_session(as_json=as_json, on_interrupt="shut-down" if yes else "ask") as session:
        found = run_to_go_on_with(run, session.tools)
        try:
            after = workflow.resume(found, session.tools)
        except RunHeldError as error:
            note(f"{error.message}; following its log.")
            watching.show_log(found, session.tools, follow=True)
            after = session.tools.ledger.run(found.id)
    leave(after, as_json=as_json, interrupted=session.signals.detached)
