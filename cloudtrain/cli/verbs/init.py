"""init: a job to begin with."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ...config.assets import copy_template, template_names, template_summary
from ...config.wording import shown_path
from ...model.words import files
from .. import completion
from ..options import Json
from ..render import answer, document, note
from ..tables import table

EXAMPLES = """
cloudtrain init
cloudtrain init digits-tensorflow
cloudtrain init digits-tensorflow my-first-job
"""

Template = Annotated[
    str | None,
    typer.Argument(metavar="TEMPLATE", help="Template to copy.", show_default=False, autocompletion=completion.templates),
]
Destination = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="Folder to make; named like the template.", show_default=False)
]


def init(template: Template = None, folder: Destination = None, as_json: Json = False) -> None:
    """Copy a job template to a folder, or list the templates.

    No existing file is replaced.
    """
    if template is None:
        _list_templates(as_json=as_json)
        return
    destination = folder or Path(template)
    written = copy_template(template, destination)
    if as_json:
        document({"template": template, "folder": destination.absolute(), "files": written})
        return
    note(f"{template} is in {shown_path(destination)}: {files(len(written))}. Next:")
    answer(f"cd {shlex.quote(str(destination))}")
    answer("cloudtrain train local")


def _list_templates(*, as_json: bool) -> None:
    templates = [(name, template_summary(name)) for name in template_names()]
    if as_json:
        document({"templates": [{"name": name, "summary": summary} for name, summary in templates]})
        return
    table(("TEMPLATE", "WHAT IT TRAINS"), templates)
    note("Copy one: cloudtrain init NAME")
