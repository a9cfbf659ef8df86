"""The spot notice: a metadata service as AWS has it, and what becomes of the job."""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cloudtrain.guest import notice

TOKEN = "secret-token"


class Service(ThreadingHTTPServer):
    """Answers as IMDSv2 does; `answers` are what the notice's path gives in turn, the last one for ever."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.tokens = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        is_right = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "21600"
        self.server.tokens += 1
        self.answer(200 if is_right else 400, TOKEN.encode())

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN or self.path != "/latest/meta-data/spot/instance-action":
            self.answer(401, b"")
            return
        answers = self.server.answers
        self.answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    servers = []

    def make(*answers: tuple[int, bytes]) -> Service:
        server = Service(*answers)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        return server

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def told(in_s: float) -> tuple[int, bytes]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + in_s))
    return 200, json.dumps({"action": "terminate", "time": at}).encode()


def test_no_notice_is_none_and_one_token_does_for_many_questions(serve) -> None:
    server = serve((404, b""))
    reader = notice.AwsNotice()
    assert [reader(), reader(), reader()] == [None] * 3
    assert server.tokens == 1


def test_token_that_wore_out_is_asked_for_again(serve) -> None:
    server = serve((401, b""), (404, b""))
    reader = notice.AwsNotice()
    assert [reader(), reader()] == [None, None]
    assert server.tokens == 2


def test_notice_tells_when(serve) -> None:
    serve((200, b'{"action": "terminate", "time": "2026-11-21T08:22:00Z"}'))
    assert notice.AwsNotice()() == datetime.fromisoformat("2026-11-21T08:22:00+00:00").timestamp()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"action": "stop"}', b'{"time": 5}', b'{"time": "soon"}', b"\xff"])
def test_notice_that_we_cannot_read_is_a_notice(serve, body: bytes) -> None:
    serve((200, body))
    before = time.time()
    assert before + 120 <= notice.AwsNotice()() <= time.time() + 120


def test_lookout_goes_on_through_failures_and_calls_once() -> None:
    answers: list = [OSError("no route"), ValueError("nonsense"), None, 1234.0]
    called = threading.Event()

    def read() -> float | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lookout = notice.Lookout(read, called.set, poll_s=0)
    lookout.start()
    assert called.wait(20)
    assert (lookout.at, answers) == (1234.0, [])


@pytest.mark.parametrize(
    ("left_s", "own_s", "grace_s"),
    [(120, 30, 90), (100, 30, 85), (40, 30, 30), (20, 30, 15), (120, 600, 115), (3, 30, 0), (-50, 30, 0), (9999, 30, 90)],
)
def test_grace_is_what_the_cloud_leaves(left_s: float, own_s: float, grace_s: float) -> None:
    assert notice.grace_s(left_s, own_s) == grace_s


def test_job_on_a_machine_that_is_taken_back(serve, guest, make_run) -> None:
    server = serve(told(120))
    taken = replace(guest, env={**os.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url})
    run = make_run("trap 'echo saved; exit 0' TERM; while :; do read x < never; done", guest=taken, notice="aws")
    run.fifo("never")
    run.start()
    state = run.wait()
    assert (state["phase"], state["exit_code"], state["ended_by"]) == ("ended", 0, "reclaim")
    assert 100 < datetime.fromisoformat(state["reclaim_at"]).timestamp() - time.time() <= 120
    assert b"saved" in run.log


def test_service_that_is_not_there_disturbs_no_job(guest, make_run) -> None:
    lonely = replace(guest, env={**os.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"})
    run = make_run("exit 3", guest=lonely, notice="aws")
    run.start()
    state = run.wait()
    assert (state["exit_code"], state["ended_by"], state["reclaim_at"]) == (3, "job", None)


def test_cloud_nobody_knows_is_noted(make_run) -> None:
    run = make_run("exit 0", notice="moon")
    run.start()
    assert run.wait()["ended_by"] == "job"
    assert "'moon'" in (run.path / "supervisor.log").read_text()
