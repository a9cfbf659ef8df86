"""The guest's command line: parse, make one call, print JSON. The protocol is written in the package's docstring."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from typing import Any, Callable, NoReturn, Sequence

from .errors import GuestError

FRAMEWORKS = ("tensorflow", "keras", "pytorch", "jax", "none")
CLAIM_VERBS = ("show", "take", "move", "release", "shut-down")

# Each command imports what it needs when it runs: the zip holds no compiled code, and `state` is asked for often.


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; return its exit code."""
    try:
        options = _parser().parse_args(argv)
    except GuestError as error:
        _print({"error": str(error)})
        return 1
    try:
        code: int = options.call(options)
    except (GuestError, OSError) as error:
        # What `follow` writes on standard output are the job's bytes alone.
        print(json.dumps({"error": str(error)}), file=sys.stderr if options.command == "follow" else sys.stdout, flush=True)
        return 1
    return code


def _facts(_: argparse.Namespace) -> int:
    from . import machine

    _print(machine.facts(os.getcwd()))
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from . import environment

    begun = time.monotonic()
    wish = _read_object()
    name, file = wish.get("framework"), wish.get("requirements")
    if not isinstance(name, str) or not isinstance(file, (str, type(None))):
        raise GuestError('prepare wants {"framework": name, "requirements": name or null} on its standard input')
    try:
        made = environment.prepare(
            os.path.abspath(options.cache),
            environment.Wish(name, file, os.path.abspath(options.work)),
            lambda text: _event({"event": "progress", "text": text}),
        )
    except (GuestError, OSError) as error:
        _event({"event": "failed", "reason": str(error), "log": getattr(error, "log", "")})
        return 1
    seconds = round(time.monotonic() - begun, 4)
    ready = {"event": "ready", "python": made.python, "packages": made.packages, "cached": made.was_cached}
    _event({**ready, "seconds": seconds})
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from . import download, fetch

    try:
        fetch.fetch(os.path.abspath(options.work), _read_object(), _event_of_bytes, _event_of_text)
    except download.DeniedError as error:
        _event({"event": "denied", "reason": str(error)})
        return 1
    except (GuestError, OSError) as error:
        return _failed(error)
    _event({"event": "ready"})
    return 0


def _restore(options: argparse.Namespace) -> int:
    from . import job, outputs, restore

    wish = _read_object()
    environ = {**os.environ, **job.names_and_values(wish.get("env") or {}, "env")}
    try:
        checkpoints = outputs.read_checkpoints(wish.get("checkpoints"))
        restore.restore(os.path.abspath(options.work), checkpoints, environ, _event_of_bytes, _event_of_text)
    except (GuestError, OSError) as error:
        return _failed(error)
    _event({"event": "ready"})
    return 0


def _gpu_check(options: argparse.Namespace) -> int:
    from . import gpu_check

    _print(gpu_check.check(options.framework, options.gpus))
    return 0


def _start(options: argparse.Namespace) -> int:
    from . import job, start

    run = os.path.abspath(options.run)
    _print(start.start(run, job.names_and_values(_read_object(), "the secrets")).shown(run))
    return 0


def _state(options: argparse.Namespace) -> int:
    from . import state

    run = os.path.abspath(options.run)
    _print(state.require(run).shown(run))
    return 0


def _follow(options: argparse.Namespace) -> int:
    from . import log

    log.follow(os.path.abspath(options.run), options.offset, sys.stdout.fileno())
    return 0


def _signal(options: argparse.Namespace) -> int:
    from . import processes, request

    run = os.path.abspath(options.run)
    try:
        number = processes.signal_number(options.name)
    except ValueError as error:
        raise GuestError(str(error)) from error
    _print(request.ask_to_end(run, number, options.grace).shown(run))
    return 0


def _deadline(options: argparse.Namespace) -> int:
    from . import request

    run = os.path.abspath(options.run)
    _print(request.move_deadline(run, options.at).shown(run))
    return 0


def _lease(options: argparse.Namespace) -> int:
    from . import lease, leasing

    home = os.path.abspath(options.home or os.path.dirname(sys.argv[0]))
    _print(leasing.replace(home, lease.parse(_read_object()), sys.argv[0]) if options.set else leasing.show(home))
    return 0


def _keeper(options: argparse.Namespace) -> int:
    from . import keeper

    keeper.keep(os.path.abspath(options.home), options.every, options.pause)
    return 0


def _claim(options: argparse.Namespace) -> int:
    from . import claim

    home = os.path.abspath(options.home or os.path.dirname(sys.argv[0]))
    _print(claim.act(home, options.verb, _read_object(), sys.argv[0]))
    return 0


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors leave by our door."""

    def error(self, message: str) -> NoReturn:
        raise GuestError(message)


def _parser() -> _Parser:
    parser = _Parser(prog="guest")
    commands = parser.add_subparsers(dest="command", required=True)
    run: tuple[str, dict[str, Any]] = ("run", {})
    seconds = _at_least_zero(float)
    _add(commands, "facts", _facts)
    _add(commands, "prepare", _prepare, ("cache", {}), ("work", {}))
    count = {"type": _at_least_zero(int), "default": 1}
    _add(commands, "gpu-check", _gpu_check, ("framework", {"choices": FRAMEWORKS}), ("--gpus", count))
    _add(commands, "fetch", _fetch, ("work", {}))
    _add(commands, "restore", _restore, ("work", {}))
    _add(commands, "start", _start, run)
    _add(commands, "state", _state, run)
    _add(commands, "follow", _follow, run, ("--offset", {"type": _at_least_zero(int), "default": 0}))
    _add(commands, "signal", _signal, run, ("name", {}), ("--grace", {"type": seconds}))
    _add(commands, "deadline", _deadline, run, ("at", {"type": seconds}))
    _add(commands, "lease", _lease, ("--set", {"action": "store_true"}), ("--home", {}))
    every, pause = ("--every", {"type": seconds, "default": 10.0}), ("--pause", {"type": seconds, "default": 60.0})
    _add(commands, "keeper", _keeper, ("home", {}), every, pause)
    _add(commands, "claim", _claim, ("verb", {"choices": CLAIM_VERBS}), ("--home", {}))
    return parser


def _add(commands: Any, name: str, call: Callable[[argparse.Namespace], int], *arguments: tuple[str, dict[str, Any]]) -> None:
    parser = commands.add_parser(name)
    parser.set_defaults(call=call)
    for argument, settings in arguments:
        parser.add_argument(argument, **settings)


def _at_least_zero(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(text)
        return value

    return number


def _read_object() -> dict[str, Any]:
    text = sys.stdin.buffer.read()
    try:
        content = json.loads(text) if text.strip() else {}
    except ValueError:
        # The parser's own words may quote the text, which may hold secrets.
        raise GuestError("standard input is not JSON") from None
    if not isinstance(content, dict):
        raise GuestError("standard input is not a JSON object")
    return content


def _print(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _event(content: dict[str, Any]) -> None:
    """Tell whoever asked. One who went away ends nothing: the environment is found ready by who asks next."""
    try:
        _print(content)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _event_of_bytes(done: int, total: int) -> None:
    _event({"event": "progress", "done": done, "total": total})


def _event_of_text(text: str) -> None:
    _event({"event": "note", "text": text})


def _failed(error: Exception) -> int:
    _event({"event": "failed", "reason": str(error)})
    return 1
