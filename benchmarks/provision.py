"""How a cloud is called: calls by verb, how deep they wait on each other, and what a verb costs beside them.

Run: python benchmarks/provision.py [aws | gcp | azure] [--rounds 3]

Each verb is a fresh process against the pretend cloud (its machines are only written down, not booted), once answered at once
and once 100 ms late. Wall and CPU time are counted from the moment the SDK is imported. `deep` is the longest chain of calls
of which each waited for the one before; a look at what changes is no faster than every 2 s, and stop and terminate look twice,
for the pretend AWS shows every state in between once. Then `status` over up to 2,000 machines: on AWS a made-up reply
describes them, beside the SDK alone reading the same reply; elsewhere the double holds them, and checks each reply.
"""

import argparse
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

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
MACHINES = {"aws": (0, 500, 1000, 2000), "gcp": (1, 500, 1000, 2000), "azure": (1, 500, 1000, 2000)}
"""How many are looked at."""
TYPES = {
    "aws": "regions: [us-east-1]\ninstance_types: [g4dn.xlarge]",
    "gcp": "regions: [us-central1]\ninstance_types: [g2-standard-4]",
    "azure": "regions: [eastus]\ninstance_types: [Standard_NC4as_T4_v3]",
}
"""The rented machine of each cloud."""

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
    parser.add_argument("cloud", nargs="?", choices=sorted(TYPES), default="aws")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloudtrain-provision-") as name:
        folder = Path(name)
        (folder / "configs").mkdir()
        (folder / "configs" / f"{NAME}.yaml").write_text(
            f"provider: {options.cloud}\n{TYPES[options.cloud]}\nmarket: on-demand\ndisk_gb: 100\n"
        )
        _print_verbs(options.cloud, folder, options.rounds)
        if options.cloud == "aws":
            _print_status_of_aws(folder, options.rounds)
        else:
            _print_status(options.cloud, folder, options.rounds)
    return 0


def _print_verbs(cloud: str, folder: Path, rounds: int) -> None:
    at_once = [_journey(cloud, folder, 0.0) for _ in range(rounds)]
    late = _journey(cloud, folder, LATE_S)
    print(f"{'verb':<18}{'calls':>6}{'deep':>6}{'wall s':>9}{'100 ms late':>13}{'CPU s':>8}   medians of {rounds}; late: once")
    for number, verb in enumerate(VERBS):
        wall_s, cpu_s = (statistics.median(journey[number][each] for journey in at_once) for each in ("wall_s", "cpu_s"))
        calls, told = late[number]["calls"], " ".join(verb[:1] + (("again",) if number == 4 else ()))
        print(f"{told:<18}{len(calls):>6}{_depth(calls):>6}{wall_s:>9.2f}{late[number]['wall_s']:>13.2f}{cpu_s:>8.2f}")
    for number, verb in enumerate(VERBS):
        print(f"\n{' '.join(verb)}:" if number != 4 else "\nagain, the machine being stopped:")
        for wave in _waves(late[number]["calls"]):
            print(f"  {wave}")


def _print_status_of_aws(folder: Path, rounds: int) -> None:
    print(f"\n{'status, machines':<18}{'wall s':>9}{'CPU s':>8}{'SDK alone':>11}{'ours':>8}{'ours, us a machine':>20}")
    nothing = 0.0
    for count in MACHINES["aws"]:
        with _served("aws-many", count) as served:
            alone = [_measured(folder, served.exports, ("--sdk-alone",)) for _ in range(rounds)]
            whole = [_measured(folder, served.exports, ("status", "--json")) for _ in range(rounds)]
        wall_s, cpu_s = (statistics.median(each[what] for each in whole) for what in ("wall_s", "cpu_s"))
        sdk_s = statistics.median(each["cpu_s"] for each in alone)
        ours_s = cpu_s - sdk_s
        nothing = nothing if count else ours_s
        slope = f"{(ours_s - nothing) / count * 1e6:>20.0f}" if count else f"{'-':>20}"
        print(f"{count:<18}{wall_s:>9.2f}{cpu_s:>8.2f}{sdk_s:>11.2f}{ours_s:>8.2f}{slope}")


def _print_status(cloud: str, folder: Path, rounds: int) -> None:
    """Measure `status` over machines that are copies of one that was rented: its CPU time is ours, the wall's the double's."""
    print(f"\n{'status, machines':<18}{'calls':>6}{'wall s':>9}{'CPU s':>8}{'CPU us a machine':>18}")
    with _served(cloud) as served, tempfile.TemporaryDirectory(dir=folder) as own:
        _measured(folder, served.exports, ("start", NAME, "--no-wait"), home=Path(own))
        first = 0.0
        for count in MACHINES[cloud]:
            served.have(count)
            _turn(served, "forget-calls", {})
            whole = [_measured(folder, served.exports, ("status", "--json"), home=Path(own)) for _ in range(rounds)]
            calls = len(_look(served, "calls")) // rounds
            wall_s, cpu_s = (statistics.median(each[what] for each in whole) for what in ("wall_s", "cpu_s"))
            first = first or cpu_s
            slope = f"{(cpu_s - first) / count * 1e6:>18.0f}" if count > 1 else f"{'-':>18}"
            print(f"{count:<18}{calls:>6}{wall_s:>9.2f}{cpu_s:>8.2f}{slope}")


def _journey(cloud: str, folder: Path, late_s: float) -> list[dict[str, Any]]:
    """Type every verb in turn against a new cloud; return what each took and called."""
    with _served(cloud) as served, tempfile.TemporaryDirectory(dir=folder) as own:
        if late_s:
            _turn(served, "faults", {"service": "*", "action": "*", "latency_s": late_s, "times": None})
        measured = []
        for verb in VERBS:
            _turn(served, "forget-calls", {})
            took = _measured(folder, served.exports, verb, home=Path(own))
            measured.append({**took, "calls": _look(served, "calls")})
        return measured


def _measured(folder: Path, exports: Mapping[str, str], words: Sequence[str], home: Path | None = None) -> dict[str, Any]:
    """Run a verb in a fresh process and return its wall and CPU time in seconds.

    Raises:
        RuntimeError: it failed, so that there is nothing to measure.
    """
    into = folder / "took.json"
    command = [sys.executable, "-c", IN_A_VERB, str(into), *words]
    done = subprocess.run(
        command, cwd=folder, env=_environ(exports, home or folder), capture_output=True, text=True, check=False
    )
    took = dict(json.loads(into.read_text())) if done.returncode == 0 else {"code": done.returncode}
    if took["code"]:
        raise RuntimeError(f"{' '.join(words)} ended with {took['code']}:\n{done.stderr}")
    return took


def _environ(exports: Mapping[str, str], home: Path) -> Mapping[str, str]:
    ours = ("AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_", "CLOUDTRAIN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    nobody = {"HOME": str(home), "CLOUDSDK_CONFIG": str(home), "AZURE_CONFIG_DIR": str(home)}
    keys = {"AWS_ACCESS_KEY_ID": "playground", "AWS_SECRET_ACCESS_KEY": "playground", "AWS_EC2_METADATA_DISABLED": "true"}
    return {**kept, **nobody, **keys, "AWS_DEFAULT_REGION": "us-east-1", "CLOUDTRAIN_HOME": str(home / "cloudtrain"), **exports}


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


class Served:
    """A cloud in a process of its own: its way as environment variables, and how many machines it is to have."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.exports: dict[str, str] = json.loads(self._line())
        self.url = self.exports.pop("URL", "")

    def have(self, machines: int) -> None:
        """Let so many machines be there, each like the one that was rented."""
        self._process.stdin.write(f"{machines}\n")  # type: ignore[union-attr]  # a pipe was asked for
        self._process.stdin.flush()  # type: ignore[union-attr]
        self._line()

    def _line(self) -> str:
        return self._process.stdout.readline()  # type: ignore[union-attr]


@contextmanager
def _served(what: str, count: int = 0) -> Iterator[Served]:
    command = [sys.executable, str(Path(__file__).with_name("provision_clouds.py")), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None:
            raise RuntimeError("no pipe")
        if what.endswith("-many"):
            print(count, file=process.stdin, flush=True)
        try:
            yield Served(process)
        finally:
            process.stdin.close()


def _turn(served: Served, name: str, arguments: Mapping[str, Any]) -> None:
    request = urllib.request.Request(
        f"{served.url}/_playground/{name}", json.dumps(arguments).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30, context=_trust(served)).close()


def _look(served: Served, name: str) -> Any:
    with urllib.request.urlopen(f"{served.url}/_playground/{name}", timeout=30, context=_trust(served)) as answer:
        return json.load(answer)


def _trust(served: Served) -> ssl.SSLContext | None:
    certificate = served.exports.get("SSL_CERT_FILE")
    return ssl.create_default_context(cafile=certificate) if certificate else None


if __name__ == "__main__":
    sys.exit(main())
