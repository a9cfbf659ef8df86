"""`cloud-init status [--wait] [--long] [--format json]`, as the pretend machine answers it.

Exit code, as cloud-init has it since 23.4: 0 done, 1 a module failed (a failing runcmd is one), 2 done with warnings.
"""

import json
import os
import sys
import time

_RUN = os.environ.get("CLOUDTRAIN_GUEST_ROOT", "") + "/run/cloud-init"
_POLL_S = 0.05


def main(argv: list[str]) -> int:
    """Answer one call."""
    if argv[:1] != ["status"]:
        print("This pretend machine's cloud-init knows `status` alone.", file=sys.stderr)
        return 2
    wants_wait = bool({"--wait", "-w"} & set(argv))
    is_json = "json" in argv or "--format=json" in argv
    while wants_wait and not _is_done():
        if not is_json:
            print(".", end="", flush=True)
        time.sleep(_POLL_S)
    errors, warnings = _troubles()
    running = "done" if _is_done() else "running"
    status = "error" if errors else running
    extended = f"error - {running}" if errors else f"degraded {running}" if warnings else running
    long = {"errors": errors, "recoverable_errors": {"WARNING": warnings} if warnings else {}, "extended_status": extended}
    if is_json:
        print(json.dumps({"status": status, **long}))
    else:
        print(("\n" if wants_wait else "") + f"status: {status}")
        if {"--long", "-l"} & set(argv):
            print("\n".join(f"{name}: {value}" for name, value in long.items()))
    return 1 if errors else 2 if warnings else 0


def _is_done() -> bool:
    return os.path.exists(f"{_RUN}/result.json")


def _troubles() -> tuple[list[str], list[str]]:
    try:
        with open(f"{_RUN}/status.json") as file:
            state = json.load(file)
    except (FileNotFoundError, ValueError):  # not begun, or being written
        return [], []
    return state["errors"], state["warnings"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
