"""pull: a run's files, before it is over."""

from ... import watching
from ...config.wording import shown_path
from ..names import run_meant
from ..options import Json, RunId
from ..render import answer, document, note
from ..session import open_session

EXAMPLES = """
cloudtrain pull
cloudtrain pull 7f3a --json
"""


def pull(run: RunId = None, as_json: Json = False) -> None:
    """Bring here what a run has made so far.

    The outputs, the log and the samples, to the run's folder. The job is not disturbed. What an earlier pull brought is
    moved aside, never overwritten.
    """
    with open_session() as session:
        found = run_meant(run, session.tools.ledger)
        names = watching.pull(found, session.tools)
    if as_json:
        document({"run": found.id, "folder": found.folder, "outputs": names})
        return
    for name in names:
        answer(shown_path(found.folder / name))
    if not names:
        note("Nothing came: the job has made no outputs yet.")
