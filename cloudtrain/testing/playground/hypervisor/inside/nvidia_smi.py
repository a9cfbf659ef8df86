"""`nvidia-smi` of a machine that pretends to have GPUs.

What is measured follows the file `/run/playground/gpu-load`, one line per GPU, the last one for all the rest: a percentage,
`[N/A]` (the driver cannot say), `hang` (the tool never answers) or `fail` (the driver is gone: exit code 9).
"""

import contextlib
import json
import os
import signal
import sys

_RUN = os.environ.get("CLOUDTRAIN_GUEST_ROOT", "") + "/run/playground"
_DRIVER = "550.90.07"
_UNITS = {
    "memory.total": "MiB", "memory.used": "MiB", "memory.free": "MiB", "utilization.gpu": "%", "utilization.memory": "%",
    "power.draw": "W", "power.limit": "W",
}  # fmt: skip


def main(argv: list[str]) -> int:
    """Answer one call."""
    loads = _loads()
    if "hang" in loads:
        signal.pause()
    if "fail" in loads:
        print("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
        return 9
    gpus = _gpus(loads)
    options = dict(argument.split("=", 1) for argument in argv if "=" in argument)
    if "-L" in argv or "--list-gpus" in argv:
        for gpu in gpus:
            print(f"GPU {gpu['index']}: {gpu['name']} (UUID: {gpu['uuid']})")
        return 0
    if "--query-gpu" in options:
        return _query(gpus, options["--query-gpu"].split(","), options.get("--format", "csv"))
    if any(name.startswith("--query-") for name in options):
        return 0  # no process is ever on them
    print(f"NVIDIA-SMI {_DRIVER}    Driver Version: {_DRIVER}    CUDA Version: 12.4")
    for gpu in gpus:
        memory = f"{gpu['memory.used']}MiB / {gpu['memory.total']}MiB"
        print(f"| {gpu['index']}  {gpu['name']} | {memory} | {gpu['utilization.gpu']}% |")
    return 0


def _query(gpus: list[dict[str, str]], fields: list[str], layout: str) -> int:
    fields = [field.strip() for field in fields]
    unknown = [field for field in fields if field not in gpus[0]]
    if unknown:
        print(f'Field "{unknown[0]}" is not a valid field to query.\n')
        return 2
    if "noheader" not in layout:
        print(", ".join(f"{field} [{_UNITS[field]}]" if field in _UNITS else field for field in fields))
    for gpu in gpus:
        cells = [gpu[field] for field in fields]
        if "nounits" not in layout:
            cells = [
                f"{cell} {_UNITS[field]}" if field in _UNITS and not cell.startswith("[") else cell
                for field, cell in zip(fields, cells, strict=True)
            ]
        print(", ".join(cells))
    return 0


def _gpus(loads: list[str]) -> list[dict[str, str]]:
    with open(f"{_RUN}/gpus.json") as file:
        made = json.load(file)
    return [_gpu(made, index, loads[min(index, len(loads) - 1)]) for index in range(made["count"])]


def _gpu(made: dict[str, str], index: int, load: str) -> dict[str, str]:
    total = int(made["memory_mib"])
    is_known = load.isdigit()
    used = total * 3 // 4 if is_known and int(load) else 1
    return {
        "index": str(index),
        "count": str(made["count"]),
        "name": made["name"],
        "gpu_name": made["name"],
        "uuid": f"GPU-00000000-0000-0000-0000-{index:012d}",
        "gpu_uuid": f"GPU-00000000-0000-0000-0000-{index:012d}",
        "pci.bus_id": f"00000000:00:{index + 16:02X}.0",
        "driver_version": _DRIVER,
        "compute_cap": made["compute_capability"],
        "memory.total": str(total),
        "memory.used": str(used) if is_known else "[N/A]",
        "memory.free": str(total - used) if is_known else "[N/A]",
        "utilization.gpu": load,
        "utilization.memory": load,
        "power.draw": f"{25 + 2 * int(load):.2f}" if is_known else "[N/A]",
        "power.limit": "300.00",
        "temperature.gpu": str(30 + int(load) // 2) if is_known else "[N/A]",
    }


def _loads() -> list[str]:
    with contextlib.suppress(FileNotFoundError), open(f"{_RUN}/gpu-load") as file:
        return [line.strip() for line in file if line.strip()] or ["0"]
    return ["0"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
