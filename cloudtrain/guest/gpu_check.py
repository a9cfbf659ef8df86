"""Does the GPU compute? A framework that sees a GPU may still fail on it, or quietly use the processor instead.

The check is a real matrix product on every visible GPU, or on every TPU chip where the machine has those instead. It runs in a
process of its own, since a driver and a framework that do not fit may kill the process they meet in, or keep it busy for half
an hour.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable

from . import gpus, processes, tpus
from .probes import PROBES, Probe
from .tpu_probes import TPU_PROBES

TIMEOUT_S = 600.0

_SIDE = 256
_EXACT = float(_SIDE**3)  # the sum of the product of two matrices of ones; 32-bit floats hold it exactly
_TOLERANCE = 1000.0
_BURIAL_S = 5.0
_REASON_LENGTH = 300


@dataclass
class Verdict:
    """What the check found.

    Attributes:
        ok: a real matrix product ran on as many GPUs as were asked for.
        gpus: how many GPUs the framework sees.
        reason: why not ok, "" when it is.
    """

    ok: bool = False
    device: str | None = None
    gpus: int = 0
    library: str | None = None
    driver: str | None = None
    compute_capability: str | None = None
    reason: str = ""


def check(framework: str, wanted: int, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return the verdict as the protocol shows it. Whatever goes wrong is a reason, never an exception."""
    hardware = gpus.inventory()
    first = hardware[0] if hardware else {}
    seen = Verdict(device=first.get("name"), driver=first.get("driver"), compute_capability=first.get("compute_capability"))
    verdict = replace(seen, **_apart(lambda: _examine(framework, wanted), timeout_s))
    if not verdict.ok:
        verdict.reason = f"{verdict.reason} ({_surroundings(verdict, len(hardware), tpus.count())})"
    return asdict(verdict)


def _apart(examine: Callable[[], dict[str, Any]], timeout_s: float) -> dict[str, Any]:
    """Call a function in a process of its own and return its answer, or the reason why there is none."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer_and_leave(examine, writer)
    os.close(writer)
    try:
        answer = _read_line(reader, time.monotonic() + timeout_s)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        _bury(child)
        return {"reason": f"the check did not end within {timeout_s:g} s"}
    finally:
        os.close(reader)
    code = _bury(child)
    if answer:
        found: dict[str, Any] = json.loads(answer)
        return found
    how = f"was ended by {processes.signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return {"reason": f"the check {how} while it used the GPU"}


def _answer_and_leave(examine: Callable[[], dict[str, Any]], writer: int) -> None:
    try:
        os.dup2(2, 1)  # frameworks chat, and our standard output is for the answer alone
        try:
            answer = examine()
        except BaseException as error:
            traceback.print_exc()
            answer = {"reason": _in_a_line(error)}
        os.write(writer, json.dumps(answer).encode("ascii") + b"\n")
        sys.stdout.flush()
    finally:
        os._exit(0)


def _read_line(reader: int, until: float) -> bytes:
    content = b""
    while not content.endswith(b"\n"):
        remaining = until - time.monotonic()
        if remaining <= 0 or not select.select([reader], [], [], remaining)[0]:
            raise TimeoutError
        chunk = os.read(reader, 65536)
        if not chunk:
            break
        content += chunk
    return content


def _bury(child: int) -> int:
    """Return how a child ended, negative for a signal. One that hangs in the driver is left to the system."""
    until = time.monotonic() + _BURIAL_S
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        time.sleep(0.01)
    return -signal.SIGKILL


def _examine(framework: str, wanted: int) -> dict[str, Any]:
    """Return what a framework makes of its GPUs, as fields of a verdict."""
    if framework == "none":
        return {"reason": "the framework is none: there is nothing to compute with"}
    if framework == "keras":
        return _examine_keras(wanted)
    return _compute(framework, wanted)


def _examine_keras(wanted: int) -> dict[str, Any]:
    keras: Any = importlib.import_module("keras")
    name, backend = f"keras {keras.__version__}", str(keras.backend.backend())
    if backend not in PROBES:
        return {"library": name, "reason": f"Keras' backend {backend} is none we know to compute on a GPU"}
    found = _compute(backend, wanted)
    return {**found, "library": f"{name} on {found.get('library', backend)}"}


def _compute(framework: str, wanted: int) -> dict[str, Any]:
    if not tpus.count():
        return _compute_on_all(PROBES[framework](), wanted)
    if framework not in TPU_PROBES:
        return {"reason": f"this machine has TPU chips, and {framework} is not known to compute on them here"}
    return _compute_on_all(TPU_PROBES[framework](), wanted)


def _compute_on_all(probe: Probe, wanted: int) -> dict[str, Any]:
    found: dict[str, Any] = {"library": probe.library}
    try:
        found["gpus"] = count = probe.count()
        for index in range(count):
            facts = probe.describe(index) if index == 0 else {}
            found.update({name: value for name, value in facts.items() if value})
            _multiply(probe, index)
    except Exception as error:
        traceback.print_exc()
        return {**found, "reason": f"{probe.library} does not compute on the {probe.kind}: {_in_a_line(error)}"}
    if count == 0:
        build = "" if probe.is_built_for_it() else ", and this build of it is for processors alone"
        return {**found, "reason": f"no {probe.kind} is visible to {probe.library}{build}"}
    if count < wanted:
        return {**found, "reason": f"{count} of the {wanted} {probe.kind}s asked for are visible to {probe.library}"}
    return {**found, "ok": True}


def _multiply(probe: Probe, index: int) -> None:
    is_on_gpu, total = probe.sum_of_product(index, _SIDE)
    if not is_on_gpu:
        raise ArithmeticError(f"the product meant for {probe.kind} {index} was computed elsewhere")
    if not abs(total - _EXACT) < _TOLERANCE:  # so written, NaN is wrong too
        raise ArithmeticError(f"{probe.kind} {index} computed {total} where {_EXACT} is right")


def _surroundings(verdict: Verdict, shown: int, chips: int) -> str:
    """Say what else is known: the driver, the GPUs it shows, the TPU chips, the library."""
    if chips:
        parts = [f"this machine has {chips} TPU chip{'' if chips == 1 else 's'}"]
    elif not shown:
        parts = ["no NVIDIA driver answers on this machine"]
    else:
        parts = [f"nvidia-smi shows {shown}", f"{verdict.device or 'a GPU'}", f"driver {verdict.driver or 'unknown'}"]
        parts.append(f"compute capability {verdict.compute_capability or 'unknown'}")
    if verdict.library and verdict.library not in verdict.reason:
        parts.append(verdict.library)
    return ", ".join(parts)


def _in_a_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:_REASON_LENGTH]
