"""How AWS is called: calls by verb, how deep they wait on each other, and what a verb costs beside them.

Run: python benchmarks/provision.py [--rounds 3]

Each verb is a fresh process against the pretend AWS (its machines are only written down, not booted), once answered at once and
once 100 ms late. Wall and CPU time are counted from the moment the SDK is imported. `deep` is the longest chain of calls of
which each waited for the one before; a look at what changes is no faster than every 2 s, and stop and terminate look twice,
for the pretend AWS shows every state in between once. Then `status` over 500, 1,000 and 2,000 machines that a made-up reply
describes, beside the SDK alone reading the same reply.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

LATE_S = 0.1
NAME = "bench"
VERBS = (
    ("get", NAME),
    ("start", NAME, "--no-wait", "--budget", "2"),
    ("status",),
    ("stop", NAME),
    ("start", NAME, "--no-wait", "--budget", "2"),
    ("terminate", NAME, "--yes"),
)
MACHINES = (0, 500, 1000, 2000)
PAGE = 1000

NOTHING = b"<R><volumeSet/><securityGroupInfo/><ListRolesResult><Roles/></ListRolesResult></R>"
"""What is answered to every other question: that there is none, whatever was asked for."""

IN_A_VERB = """
import json, sys, time
import boto3.session, botocore.session, botocore.config
if sys.argv[2] == "--sdk-alone":
    def act():
        client = boto3.session.Session().client("ec2", region_name="us-east-1")
        for page in client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000}):
            pass
else:
    from cloudtrain.cli.main import main
    def act():
        sys.argv[1:] = sys.argv[2:]
        main()
into, code, wall, cpu = sys.argv[1], 0, time.perf_counter(), time.process_time()
try:
    act()
except SystemExit as end:
    code = end.code or 0
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
with open(into, "w") as file:
    json.dump({"wall_s": wall, "cpu_s": cpu, "code": code}, file)
"""


def main() -> int:
    """Measure, print the tables, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", choices=["aws", "many"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return _serve(options.serve)
    with tempfile.TemporaryDirectory(prefix="cloudtrain-provision-") as folder:
        _print_verbs(Path(folder), options.rounds)
        _print_status(Path(folder), options.rounds)
    return 0


def _print_verbs(folder: Path, rounds: int) -> None:
    (folder / "configs").mkdir()
    (folder / "configs" / f"{NAME}.yaml").write_text(
        "provider: aws\nregions: [us-east-1]\ninstance_types: [g4dn.xlarge]\nmarket: on-demand\ndisk_gb: 100\n"
    )
    at_once = [_journey(folder, 0.0) for _ in range(rounds)]
    late = _journey(folder, LATE_S)
    print(f"{'verb':<18}{'calls':>6}{'deep':>6}{'wall s':>9}{'100 ms late':>13}{'CPU s':>8}   medians of {rounds}; late: once")
    for number, verb in enumerate(VERBS):
        wall_s, cpu_s = (statistics.median(journey[number][each] for journey in at_once) for each in ("wall_s", "cpu_s"))
        calls, told = late[number]["calls"], " ".join(verb[:1] + (("again",) if number == 4 else ()))
        print(f"{told:<18}{len(calls):>6}{_depth(calls):>6}{wall_s:>9.2f}{late[number]['wall_s']:>13.2f}{cpu_s:>8.2f}")
    for number, verb in enumerate(VERBS):
        print(f"\n{' '.join(verb)}:" if number != 4 else "\nagain, the machine being stopped:")
        for wave in _waves(late[number]["calls"]):
            print(f"  {wave}")


def _print_status(folder: Path, rounds: int) -> None:
    print(f"\n{'status, machines':<18}{'wall s':>9}{'CPU s':>8}{'SDK alone':>11}{'ours':>8}{'ours, us a machine':>20}")
    nothing = 0.0
    for count in MACHINES:
        with _served("many", str(count)) as url:
            alone = [_measured(folder, url, ("--sdk-alone",)) for _ in range(rounds)]
            whole = [_measured(folder, url, ("status", "--json")) for _ in range(rounds)]
        wall_s, cpu_s = (statistics.median(each[what] for each in whole) for what in ("wall_s", "cpu_s"))
        sdk_s = statistics.median(each["cpu_s"] for each in alone)
        ours_s = cpu_s - sdk_s
        nothing = nothing if count else ours_s
        slope = f"{(ours_s - nothing) / count * 1e6:>20.0f}" if count else f"{'-':>20}"
        print(f"{count:<18}{wall_s:>9.2f}{cpu_s:>8.2f}{sdk_s:>11.2f}{ours_s:>8.2f}{slope}")


def _journey(folder: Path, late_s: float) -> list[dict[str, Any]]:
    """Type every verb in turn against a new cloud; return what each took and called."""
    with _served("aws", "0") as url, tempfile.TemporaryDirectory(dir=folder) as own:
        if late_s:
            _turn(url, "faults", {"service": "*", "action": "*", "latency_s": late_s, "times": None})
        measured = []
        for verb in VERBS:
            _turn(url, "forget-calls", {})
            took = _measured(folder, url, verb, home=Path(own))
            measured.append({**took, "calls": _look(url, "calls")})
        return measured


def _measured(folder: Path, url: str, words: Sequence[str], home: Path | None = None) -> dict[str, Any]:
    """Run a verb in a fresh process and return its wall and CPU time in seconds.

    Raises:
        RuntimeError: it failed, so that there is nothing to measure.
    """
    into = folder / "took.json"
    command = [sys.executable, "-c", IN_A_VERB, str(into), *words]
    done = subprocess.run(command, cwd=folder, env=_environ(url, home or folder), capture_output=True, text=True, check=False)
    took = dict(json.loads(into.read_text())) if done.returncode == 0 else {"code": done.returncode}
    if took["code"]:
        raise RuntimeError(f"{' '.join(words)} ended with {took['code']}:\n{done.stderr}")
    return took


def _environ(url: str, home: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CLOUDTRAIN_"))}
    return kept | {
        "HOME": str(home),
        "CLOUDTRAIN_HOME": str(home / "cloudtrain"),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "playground",
        "AWS_SECRET_ACCESS_KEY": "playground",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CLOUDTRAIN_ADDRESS_SERVICE": f"{url}/_playground/address",
    }


def _depth(calls: Sequence[Mapping[str, Any]]) -> int:
    return len(_waves(calls))


def _waves(calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the calls by how many waited one for the other before them: a call that came in before another was answered,
    all being 100 ms late, did not wait for it."""
    came = sorted((datetime.fromisoformat(call["at"]), call["service"], call["action"]) for call in calls)
    levels: list[int] = []
    for at, _, _ in came:
        before = [level for level, (then, _, _) in zip(levels, came, strict=False) if at - then >= timedelta(seconds=LATE_S)]
        levels.append(1 + max(before, default=0))
    waves: dict[int, list[str]] = {}
    for level, (_, service, action) in zip(levels, came, strict=True):
        waves.setdefault(level, []).append(f"{service}:{action}")
    return ["  |  ".join(_counted(names)) for _, names in sorted(waves.items())]


def _counted(names: Sequence[str]) -> list[str]:
    return [name if names.count(name) == 1 else f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]


@contextmanager
def _served(what: str, count: str) -> Iterator[str]:
    """Run a cloud in a process of its own, so that its work is not counted as ours."""
    command = [sys.executable, __file__, "--serve", what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("no pipes")
        print(count, file=process.stdin, flush=True)
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def _turn(url: str, name: str, arguments: Mapping[str, Any]) -> None:
    request = urllib.request.Request(
        f"{url}/_playground/{name}", json.dumps(arguments).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()


def _look(url: str, name: str) -> Any:
    with urllib.request.urlopen(f"{url}/_playground/{name}", timeout=30) as answer:
        return json.load(answer)


def _serve(what: str) -> int:
    """Be a cloud until standard input ends."""
    count = int(sys.stdin.readline())
    with _pretend_aws() if what == "aws" else _many(count) as url:
        print(url, flush=True)
        sys.stdin.read()
    return 0


@contextmanager
def _pretend_aws() -> Iterator[str]:
    from cloudtrain.testing.playground.aws import AwsCloud
    from cloudtrain.testing.playground.machine import Booted

    class WrittenDown:
        """Boots nothing; every machine has an address."""

        def boot(self, _: object) -> Booted:
            return Booted("127.0.1.1")

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    with AwsCloud(WrittenDown()) as cloud:
        yield cloud.url


@contextmanager
def _many(count: int) -> Iterator[str]:
    """Serve an EC2 that has so many machines of ours in one region, and nothing else."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    pages = [_page(first, min(first + PAGE, count), first + PAGE < count) for first in range(0, max(count, 1), PAGE)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            action = asked.get("Action", [""])[0]
            if action == "DescribeInstances":
                body = pages[int(asked.get("NextToken", ["0"])[0])]
            elif action == "DescribeRegions":
                body = b"<R><regionInfo><item><regionName>us-east-1</regionName></item></regionInfo></R>"
            else:
                body = NOTHING
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _page(first: int, last: int, has_more: bool) -> bytes:
    tags = {
        "cloudtrain": "1", "Name": "many", "cloudtrain:name": "many", "cloudtrain:owner": "somebody", "cloudtrain:run": "",
        "cloudtrain:deadline": "2036-11-21T13:00:00+00:00", "cloudtrain:issued": "2026-11-21T11:00:00+00:00",
        "cloudtrain:usd-per-hour": "0.526", "cloudtrain:beside-usd-per-hour": "0.016", "cloudtrain:gpu-count": "1",
        "cloudtrain:at-deadline": "terminate", "cloudtrain:market": "on-demand", "cloudtrain:user": "ubuntu",
        "cloudtrain:disk-gb": "100",
    }  # fmt: skip
    written = "".join(f"<item><key>{key}</key><value>{escape(value)}</value></item>" for key, value in tags.items())
    machines = "".join(
        f"<item><reservationId>r-{number}</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item>"
        f"<instanceId>i-{number:017x}</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name>"
        "</instanceState><instanceType>g4dn.xlarge</instanceType><launchTime>2026-11-21T11:00:00.000Z</launchTime><placement>"
        "<availabilityZone>us-east-1b</availabilityZone><tenancy>default</tenancy></placement><subnetId>subnet-1</subnetId>"
        "<vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.5</privateIpAddress><ipAddress>203.0.113.5</ipAddress><groupSet><item>"
        "<groupId>sg-1</groupId><groupName>g</groupName></item></groupSet><architecture>x86_64</architecture><rootDeviceType>"
        "ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/sda1"
        "</deviceName><ebs><volumeId>vol-1</volumeId><status>attached</status></ebs></item></blockDeviceMapping>"
        f"<tagSet>{written}<item><key>cloudtrain:token</key><value>ct-{number:032x}</value></item></tagSet></item>"
        "</instancesSet></item>"
        for number in range(first, last)
    )
    token = f"<nextToken>{last // PAGE}</nextToken>" if has_more else ""
    return f"<R><reservationSet>{machines}</reservationSet>{token}</R>".encode()


if __name__ == "__main__":
    sys.exit(main())
