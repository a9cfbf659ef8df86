"""`python -m cloudtrain.testing.playground CLOUD`: a pretend cloud with real SSH hosts on this computer, until Ctrl-C."""

import argparse
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .control import PREFIX
from .plays import PLAYS, Play

EXAMPLES = """\
examples:
  python -m cloudtrain.testing.playground aws
      start it, copy the printed lines into another terminal, and rent a pretend GPU there:
          cloudtrain start aws-g4dn
          cloudtrain terminate aws-g4dn
  python -m cloudtrain.testing.playground gcp
      the same with a pretend Google Cloud: cloudtrain start gcp-l4; the gcloud command talks to it too
  python -m cloudtrain.testing.playground azure
      the same with a pretend Azure, where a machine that is merely switched off bills: cloudtrain start azure-t4
  python -m cloudtrain.testing.playground aws --loopback-hosts
      the same without root rights: the hosts are servers on 127.0.0.1, reached by a ProxyCommand
  curl -s URL/_playground/instances
      what runs; also calls, violations, events
  curl -s URL/_playground/advance -H 'Content-Type: application/json' -d '{"seconds": 3600}'
      an hour passes at once: deadlines fire; also faults, reclaim, quota, stale, power-off
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the playground; return the exit code."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="cloudtrain-playground-") as own:
        kind = "loopback" if options.loopback_hosts else "auto"
        return _run(PLAYS[options.cloud], options.folder or Path(own), options.port, kind, ended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudtrain.testing.playground",
        description="A pretend cloud on this computer: the real SDK, real HTTP and real SSH hosts, no account and no bill.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cloud", choices=sorted(PLAYS), help="which cloud to pretend")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--folder", type=Path, help="where the hosts keep their files (default: a temporary folder)")
    parser.add_argument("--loopback-hosts", action="store_true", help="hosts without namespaces, which needs no root rights")
    return parser


def _run(play: Play, folder: Path, port: int, kind: str, ended: threading.Event) -> int:
    try:
        # Here, because they load moto and the SSH server, which `--help` does not need.
        from .hypervisor import open_hypervisor

        make = play.load()
    except ImportError as error:
        print(f"{error}\nInstall what the playground needs: pip install 'cloudtrain[playground]'", file=sys.stderr)
        return 2
    hypervisor = open_hypervisor(folder, lambda id: cloud.power_off(id), kind=kind)
    try:
        cloud = make(hypervisor, port=port)
        with cloud:
            print(_lines(play, cloud, folder, hypervisor.kind), flush=True)
            ended.wait()
    except ImportError as error:
        print(f"{error}\nInstall what the playground needs: pip install 'cloudtrain[playground]'", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Cannot listen on port {port}: {error}. Choose another with --port, or none.", file=sys.stderr)
        return 2
    finally:
        hypervisor.close()
    return 0


def _lines(play: Play, cloud: Any, folder: Path, kind: str) -> str:
    exports = {**play.exports(cloud), "CLOUDTRAIN_ADDRESS_SERVICE": f"{cloud.url}{PREFIX}address"}
    if kind == "loopback":
        # Servers on other ports than 22: the client is led to them by the machine's address.
        connect = [sys.executable, "-m", f"{__package__}.connect", str(folder.resolve())]
        exports["CLOUDTRAIN_SSH_PROXY_COMMAND"] = f"{shlex.join(connect)} %h %p"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    return "\n".join(
        [
            f"# A pretend {play.name} is running. In another terminal:",
            *lines,
            f"cloudtrain start {play.machine}",
            "# Ctrl-C here ends it.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
