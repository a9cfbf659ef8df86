"""Use an installed cloudtrain as a newcomer would: every machine config is planned, every template trains for real.

Run by the Python of an environment that holds the wheel and nothing else of ours (`scripts/build`). Exits 1 at the first
thing that is not as the README says.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

SAMPLE = "0.3"
MOST_MEGABYTES = 60
"""What a core install may weigh in its environment, in 10⁶ bytes."""


def main() -> None:
    """Check the size, every config, every template."""
    check_size()
    with tempfile.TemporaryDirectory(prefix="cloudtrain-wheel-") as folder:
        desk = Desk(Path(folder))
        check_configs(desk)
        for template in desk.answer("init", "--json")["templates"]:
            train_template(desk, template["name"])
    print("The wheel holds: every config plans, every template trains.")


class Desk:
    """A newcomer's empty folder and a `cloudtrain` that has never run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cache = os.environ.get("CLOUDTRAIN_CACHE", str(Path.home() / ".cache" / "cloudtrain"))
        # Environments are large and may be kept from the last time; everything else is new.
        self._environ = os.environ | {"CLOUDTRAIN_HOME": str(folder / "home"), "CLOUDTRAIN_CACHE": cache}

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run cloudtrain; a non-zero exit code ends everything with what it printed."""
        command = [str(Path(sys.executable).with_name("cloudtrain")), *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self._environ, capture_output=True, text=True, check=False, timeout=1800
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def answer(self, *arguments: str) -> dict[str, list[dict[str, Any]]]:
        """Run cloudtrain and return its JSON answer."""
        answer: dict[str, list[dict[str, Any]]] = json.loads(self.run(*arguments).stdout)
        return answer


def check_size() -> None:
    """Weigh the environment: what pip put there, pip itself left out."""
    site = Path(sysconfig.get_paths()["purelib"])
    size = sum(
        path.stat().st_size for path in site.rglob("*") if path.is_file() and path.relative_to(site).parts[0][:3] != "pip"
    )
    print(f"core install: {size / 1e6:.1f} MB (at most {MOST_MEGABYTES})")
    if size > MOST_MEGABYTES * 1e6:
        sys.exit("The core install is too large.")


def check_configs(desk: Desk) -> None:
    """Every shipped config must be listed, and planned where a price is known."""
    configs = desk.answer("configs", "--json")["configs"]
    priced = [config["name"] for config in configs if config["offer"] is not None]
    for name in priced:
        desk.run("get", name)
    unpriced = sorted({config["name"] for config in configs} - set(priced))
    print(f"configs: {len(configs)} listed, {len(priced)} planned; without a known price: {', '.join(unpriced) or 'none'}")


def train_template(desk: Desk, template: str) -> None:
    """Copy a template, train it on a sample on this machine, and look at what came back."""
    desk.run("init", template, template)
    began = time.monotonic()
    done = desk.run("train", "local", "--sample", SAMPLE, "--json", cwd=desk.folder / template)
    run = json.loads(done.stdout.splitlines()[-1])["run"]
    folder = Path(run["folder"])
    for name in ("run.json", "report.html", "job.log", "results/metrics.json"):
        if not (folder / name).is_file():
            sys.exit(f"{template}: {name} did not come back")
    metrics = json.loads((folder / "results/metrics.json").read_text())
    print(f"{template}: {run['outcome']} in {time.monotonic() - began:.0f} s, {metrics}")


if __name__ == "__main__":
    main()
