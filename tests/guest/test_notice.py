"""The spot notice: metadata services as AWS, Google and Azure have them, and what becomes of the job."""

import http.client
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


class GoogleService(ThreadingHTTPServer):
    """Answers as Google's metadata server does; `values` are texts by path, a list of them given in turn."""

    daemon_threads = True

    def __init__(self, values: dict[str, list[str]]) -> None:
        super().__init__(("127.0.0.1", 0), GoogleHandler)
        self.values = values
        self.asked: list[str] = []


class GoogleHandler(BaseHTTPRequestHandler):
    server: GoogleService

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.removeprefix("/computeMetadata/v1/")
        self.server.asked.append(path)
        texts = self.server.values.get(path)
        if self.headers["Metadata-Flavor"] != "Google":
            self.answer(403, b"Missing required header")
        elif texts is None or path == self.path:
            self.answer(404, b"not found")
        else:
            self.answer(200, (texts.pop(0) if len(texts) > 1 else texts[0]).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


PREEMPTED = "instance/preempted"
LENGTH = f"instance/attributes/{notice.GcpNotice.NOTICE_ATTRIBUTE}"


class AzureService(ThreadingHTTPServer):
    """Answers as Azure's Scheduled Events do; `documents` are given in turn, the last one for ever."""

    daemon_threads = True

    def __init__(self, *documents: object) -> None:
        super().__init__(("127.0.0.1", 0), AzureHandler)
        self.documents = list(documents)
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()


class AzureHandler(BaseHTTPRequestHandler):
    server: AzureService

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.may_answer.wait(600)
        is_right = self.path == "/metadata/scheduledevents?api-version=2020-07-01" and self.headers["Metadata"] == "true"
        documents = self.server.documents
        said = documents.pop(0) if len(documents) > 1 else documents[0]
        body = json.dumps(said).encode() if is_right else b'{"error": "Bad request. Required metadata header not specified"}'
        self.send_response(200 if is_right else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def events(*kinds: tuple[str, object]) -> dict[str, object]:
    """Return a document of these events: type and NotBefore of each."""
    listed = [
        {"EventId": f"id-{at}", "EventType": kind, "EventStatus": "Scheduled", "Resources": ["vm"], "NotBefore": when}
        for at, (kind, when) in enumerate(kinds)
    ]
    return {"DocumentIncarnation": len(listed), "Events": listed}


def http_date(in_s: float) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + in_s))


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    servers = []

    def make(*documents: object) -> AzureService:
        server = AzureService(*documents)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{server.server_port}")
        return server

    yield make
    for server in servers:
        server.may_answer.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    servers = []

    def make(values: dict[str, list[str]]) -> GoogleService:
        server = GoogleService(values)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{server.server_port}")
        return server

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


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


def test_google_says_nothing_until_the_machine_is_taken(google) -> None:
    server = google({PREEMPTED: ["FALSE", "FALSE\n", "TRUE"], LENGTH: ["120"]})
    reader = notice.GcpNotice()
    assert [reader(), reader()] == [None, None]
    assert server.asked == [PREEMPTED] * 2
    before = time.time()
    assert before + 120 <= reader() <= time.time() + 120


@pytest.mark.parametrize(
    ("length", "left_s"), [(["120"], 120), (["0"], 30), (["nan"], 30), (["inf"], 120), (["soon"], 30), ([""], 30), (None, 30)]
)
def test_google_s_thirty_seconds_are_left_when_nobody_said_more(google, length, left_s: float) -> None:
    google({PREEMPTED: ["TRUE"], **({LENGTH: length} if length is not None else {})})
    before = time.time()
    assert before + left_s <= notice.GcpNotice()() <= time.time() + left_s


def test_a_notice_is_told_though_the_server_ends_with_it(google, monkeypatch: pytest.MonkeyPatch) -> None:
    google({PREEMPTED: ["TRUE"]})
    reader, real = notice.GcpNotice(), notice.GcpNotice._ask

    def ask(self: notice.GcpNotice, path: str) -> tuple[int, bytes]:
        if path == LENGTH:
            raise http.client.BadStatusLine("")
        return real(self, path)

    monkeypatch.setattr(notice.GcpNotice, "_ask", ask)
    before = time.time()
    assert before + 30 <= reader() <= time.time() + 30


def test_google_without_a_spot_machine_is_no_notice(google) -> None:
    google({})
    assert notice.GcpNotice()() is None


def test_azure_says_when_it_takes_a_spot_machine(azure) -> None:
    when = "Sat, 21 Nov 2026 08:22:00 GMT"
    azure(events(), events(("Freeze", when), ("Reboot", when)), events(("Freeze", ""), ("Preempt", when)))
    reader = notice.AzureNotice()
    assert [reader(), reader()] == [None, None]
    assert reader() == datetime.fromisoformat("2026-11-21T08:22:00+00:00").timestamp()


def test_the_first_of_two_preemptions_counts(azure) -> None:
    azure(events(("Preempt", "Sat, 21 Nov 2026 09:00:00 GMT"), ("Preempt", "Sat, 21 Nov 2026 08:22:00 GMT")))
    assert notice.AzureNotice()() == datetime.fromisoformat("2026-11-21T08:22:00+00:00").timestamp()


@pytest.mark.parametrize("when", ["", None, 5, "soon", "2026-11-21", ["x"]])
def test_preemption_that_has_begun_or_cannot_be_read_leaves_thirty_seconds(azure, when: object) -> None:
    azure(events(("Preempt", when)))
    before = time.time()
    assert before + 30 <= notice.AzureNotice()() <= time.time() + 30


@pytest.mark.parametrize("document", [{}, {"Events": None}, {"Events": ["Preempt"]}, {"Events": {"EventType": "Preempt"}}])
def test_document_without_events_is_no_notice(azure, document: object) -> None:
    azure(document)
    assert notice.AzureNotice()() is None


def test_azure_s_first_answer_may_take_two_minutes_and_no_later_one(azure, monkeypatch: pytest.MonkeyPatch) -> None:
    azure(events())
    patience: list[float] = []
    real = http.client.HTTPConnection

    def connect(host: str, timeout: float) -> http.client.HTTPConnection:
        patience.append(timeout)
        return real(host, timeout=timeout)

    monkeypatch.setattr(http.client, "HTTPConnection", connect)
    reader = notice.AzureNotice()
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="refused"):
        reader()
    monkeypatch.undo()
    azure(events())
    monkeypatch.setattr(http.client, "HTTPConnection", connect)
    assert [reader(), reader()] == [None, None]
    assert [limit >= 120 for limit in patience] == [True, True, False]


def test_a_service_that_is_asleep_holds_no_job_up(azure, guest, make_run) -> None:
    server = azure(events())
    server.may_answer.clear()
    asleep = replace(guest, env={**os.environ, "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://127.0.0.1:{server.server_port}"})
    run = make_run("exit 3", guest=asleep, notice="azure")
    run.start()
    state = run.wait()
    assert (state["exit_code"], state["ended_by"], state["reclaim_at"]) == (3, "job", None)


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


def test_job_on_a_machine_that_google_takes_back(google, guest, make_run) -> None:
    server = google({PREEMPTED: ["FALSE", "TRUE"], LENGTH: ["120"]})
    taken = replace(guest, env={**os.environ, "GCE_METADATA_HOST": f"127.0.0.1:{server.server_port}"})
    run = make_run("trap 'echo saved; exit 0' TERM; while :; do read x < never; done", guest=taken, notice="gcp")
    run.fifo("never")
    run.start()
    state = run.wait()
    assert (state["phase"], state["exit_code"], state["ended_by"]) == ("ended", 0, "reclaim")
    assert 100 < datetime.fromisoformat(state["reclaim_at"]).timestamp() - time.time() <= 120
    assert b"saved" in run.log


def test_job_on_a_machine_that_azure_takes_back(azure, guest, make_run) -> None:
    server = azure(events(), events(("Preempt", http_date(60))))
    taken = replace(guest, env={**os.environ, "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://127.0.0.1:{server.server_port}"})
    run = make_run("trap 'echo saved; exit 0' TERM; while :; do read x < never; done", guest=taken, notice="azure")
    run.fifo("never")
    run.start()
    state = run.wait()
    assert (state["phase"], state["exit_code"], state["ended_by"]) == ("ended", 0, "reclaim")
    assert 30 < datetime.fromisoformat(state["reclaim_at"]).timestamp() - time.time() <= 60
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
