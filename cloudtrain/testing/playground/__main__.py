"""`python -m cloudtrain.testing.playground aws`: a pretend cloud with real SSH hosts on this computer, until Ctrl-C."""

import argparse
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from .control import PREFIX

EXAMPLES = """\
examples:
  python -m cloudtrain.testing.playground aws
      start it, copy the printed lines into another terminal, and rent a pretend GPU there:
          cloudtrain start aws-g4dn
          cloudtrain terminate aws-g4dn
  python -m cloudtrain.testing.playground aws --loopback-hosts
      the same without root rights: the hosts are servers on 127.0.0.1, reached by a ProxyCommand
  curl -s URL/_playground/instances
      what runs; also calls, permissions, violations, events
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
        return _run(options.folder or Path(own), options.port, "loopback" if options.loopback_hosts else "auto", ended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudtrain.testing.playground",
        description="A pretend cloud on this computer: the real SDK, real HTTP and real SSH hosts, no account and no bill.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cloud", choices=["aws"], help="which cloud to pretend")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--folder", type=Path, help="where the hosts keep their files (default: a temporary folder)")
    parser.add_argument("--loopback-hosts", action="store_true", help="hosts without namespaces, which needs no root rights")
    return parser


def _run(folder: Path, port: int, kind: str, ended: threading.Event) -> int:
    try:
        # Here, because they load moto and the SSH server, which `--help` does not need.
        from .aws import AwsCloud
        from .hypervisor import open_hypervisor
    except ImportError as error:
        print(f"{error}\nInstall what the playground needs: pip install 'cloudtrain[playground]'", file=sys.stderr)
        return 2
    hypervisor = open_hypervisor(folder, lambda id: cloud.power_off(id), kind=kind)
    try:
        cloud = AwsCloud(hypervisor, port=port)
        with cloud:
            print(_lines(cloud.url, folder, hypervisor.kind), flush=True)
            ended.wait()
    except OSError as error:
        print(f"Cannot listen on port {port}: {error}. Choose another with --port, or none.", file=sys.stderr)
        return 2
    finally:
        hypervisor.close()
    return 0


def _lines(url: str, folder: Path, kind: str) -> str:
    exports = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "playground",
        "AWS_SECRET_ACCESS_KEY": "playground",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CLOUDTRAIN_ADDRESS_SERVICE": f"{url}{PREFIX}address",
    }
    if kind == "loopback":
        # Servers on other ports than 22: the client is led to them by the machine's address.
        connect = [sys.executable, "-m", f"{__package__}.connect", str(folder.resolve())]
        exports["CLOUDTRAIN_SSH_PROXY_COMMAND"] = f"{shlex.join(connect)} %h %p"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    return "\n".join(
        ["# A pretend AWS is running. In another terminal:", *lines, "cloudtrain start aws-g4dn", "# Ctrl-C here ends it."]
    )


if __name__ == "__main__":
    sys.exit(main())
