"""Run a Jupyter notebook as a job: its output goes to the log as it comes, the notebook with all outputs to results/."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets.config import Config


class LoggingClient(NotebookClient):
    """A notebook client that prints what cells print, while they print it."""

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str, cell_index: int) -> Any:
        content = msg["content"]
        if msg["msg_type"] == "stream":
            print(content["text"], end="", flush=True)
        elif msg["msg_type"] == "error":
            print("\n".join(content["traceback"]), file=sys.stderr, flush=True)
        elif "data" in content:
            print(content["data"].get("text/plain", ""), flush=True)
        return super().output(outs, msg, display_id, cell_index)


def main() -> None:
    """Run every cell in order; stop at the first that fails, with exit code 1."""
    settings = read_arguments()
    os.environ["CLOUDTRAIN_SAMPLE"] = settings.sample  # the notebook's own process inherits it
    settings.results.mkdir(parents=True, exist_ok=True)
    finished = settings.results / settings.notebook.name

    try:
        notebook = nbformat.read(settings.notebook, as_version=4)
    except (OSError, ValueError) as problem:
        sys.exit(f"{settings.notebook} cannot be read as a notebook: {problem}")
    try:
        execute(notebook, settings.notebook.resolve().parent, finished)
    except (CellExecutionError, DeadKernelError) as problem:
        sys.exit(f"{settings.notebook} failed ({type(problem).__name__}); what it did until then is in {finished}")
    print(f"every cell of {settings.notebook} ran; with outputs: {finished}", flush=True)


def read_arguments() -> argparse.Namespace:
    """Read the command line; every setting has a default that works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("notebook", type=Path, nargs="?", default=Path("train.ipynb"), help="the notebook to run")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for all that comes back")
    parser.add_argument(
        "--sample",
        type=fraction,
        default=os.environ.get("CLOUDTRAIN_SAMPLE") or "1",
        help="handed to the notebook as CLOUDTRAIN_SAMPLE: train on this fraction, for a first try",
    )
    return parser.parse_args()


def fraction(text: str) -> str:
    """Return an argument as it is when it is a number above 0 and up to 1."""
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 1")
    return text


def execute(notebook: nbformat.NotebookNode, folder: Path, finished: Path) -> None:
    """Run the cells in `folder`, and write the notebook after each one: a job that is cut short leaves what it has."""
    client = LoggingClient(
        notebook,
        timeout=None,  # a training cell takes as long as it takes; the machine's lease is what ends it
        kernel_name="python3",  # the Python this script runs in, whatever the notebook was last saved with
        resources={"metadata": {"path": str(folder)}},
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),  # others on the machine cannot listen in
        on_cell_executed=lambda **_: nbformat.write(notebook, finished),
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, finished)


if __name__ == "__main__":
    main()
