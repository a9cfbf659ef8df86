"""report.html: complete in itself, well formed, and deaf to whatever a machine wrote into its files."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtrain.model.run import Outcome
from cloudtrain.report.page import write_report
from cloudtrain.report.run_file import RECORD_KEYS, write_run_file

RECORD = {
    "format": 1,
    "id": "20261121-140503-digits-7f3a",
    "job": "digits-cnn",
    "command": "python train.py --epochs 5",
    "framework": "tensorflow",
    "outcome": "succeeded",
    "reason": "",
    "exit_code": 0,
    "signal": "",
    "machine": "aws-g5",
    "provider": "aws",
    "instance": {
        "id": "i-0abc",
        "instance_type": "g5.xlarge",
        "region": "us-east-1",
        "zone": "us-east-1b",
        "gpu": "A10G",
        "gpu_count": 1,
    },
    "price": {"usd_per_hour": 1.006, "priced_on": "2026-11-02", "market": "on-demand"},
    "usd": 0.4612,
    "machine_started_at": "2026-11-21T14:05:20+00:00",
    "machine_ended_at": "2026-11-21T15:05:20+00:00",
    "created_at": "2026-11-21T14:03:00+00:00",
    "started_at": "2026-11-21T14:10:00+00:00",
    "ended_at": "2026-11-21T15:00:30+00:00",
    "stages": [{"stage": "plan", "seconds": 1.2}, {"stage": "shut_down", "seconds": 61}],
    "environment": {"python": "3.11.7", "packages": {"tensorflow": "2.21.0"}},
    "gpu_check": {"ok": False, "device": "", "reason": "no CUDA driver"},
    "machine_facts": {"cpus": 4},
    "cloudtrain": "0.1.0",
    "git": {"commit": "1525c81", "dirty": True},
    "outputs": ["results"],
    "sample": 0.1,
}
VOID = {"meta"}


class Page(HTMLParser):
    """A page taken apart: its elements, its text, and whether every element that is opened is closed in its place."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(folder: Path) -> Page:
    path = write_report(folder)
    assert path == folder / "report.html"
    return Page(path.read_bytes().decode("utf-8"))


def assert_harmless(page: Page) -> None:
    """The page runs nothing and fetches nothing."""
    allowed = (
        "html head meta title style body main header section footer h1 h2 p span b div ul li dl dt dd table tr td a code pre"
    )
    allowed += " details summary figure figcaption svg title desc line text polyline circle path rect"
    for tag, attributes in page.elements:
        assert tag in allowed.split(), tag
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style", "xlink:href")]
        assert tag == "a" or "href" not in attributes
        if tag == "a":
            assert re.fullmatch(r"\./[\w./~%-]*", attributes["href"] or "", re.ASCII)
    styles = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    assert len(styles) == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
    assert "default-src 'none'" in (page.all("meta")[1]["content"] or "")


def full_folder(folder: Path) -> Path:
    write_run_file(folder, RECORD)
    results = folder / "results"
    results.mkdir()
    (results / "model.keras").write_bytes(b"x" * 2_500_000)
    with (results / "metrics.jsonl").open("w") as file:
        for epoch in range(1, 6):
            figures = {"loss": 2 / epoch, "val_loss": 3 / epoch, "accuracy": 1 - 0.5 / epoch, "val_accuracy": 0.9, "lr": 0.1}
            file.write(json.dumps({"epoch": epoch} | figures) + "\n")
    gpu = {"index": 0, "name": "NVIDIA A10G", "util_percent": 80, "memory_used_mib": 11264, "memory_total_mib": 22528}
    sample = {"cpu_percent": 30, "memory_used_bytes": 4 * 2**30, "memory_total_bytes": 16 * 2**30, "gpus": [gpu]}
    times = [f"2026-11-21T14:{minute}:00Z" for minute in range(10, 20)]
    (folder / "samples.jsonl").write_text("".join(json.dumps({"t": time} | sample) + "\n" for time in times))
    (folder / "job.log").write_text("".join(f"2026-11-21T14:10:00Z line {number}\n" for number in range(500)))
    return folder


def test_a_full_run_is_told_whole(tmp_path: Path) -> None:
    page = page_of(full_folder(tmp_path))
    assert_harmless(page)
    for fact in (
        "digits-cnn",
        "succeeded",
        "aws-g5 · g5.xlarge · 1 × A10G",
        "aws · us-east-1b · i-0abc",
        "$1.006 an hour (on-demand, price of 2026-11-02)",
        "$0.46",
        "1 h 2 min",
        "50 min 30 s",
        "2026-11-21 14:03:00 UTC",
        "exit code 0",
        "failed: no CUDA driver",
        "A first try on 10 % of the data.",
        "python train.py --epochs 5",
        "1525c81 with changes not committed",
        "2.21.0",
        "results/model.keras",
        "2.5 MB",
        "shut down",
        "1 min 1 s",
        "GPU at most 11.0 of 22.0 GiB",
        "80 % on average",
        "line 499",
        "cloudtrain 0.1.0",
    ):
        assert fact in page.text, fact


def test_a_metric_and_its_validation_share_a_chart_loss_first(tmp_path: Path) -> None:
    page = page_of(full_folder(tmp_path))
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", page.source)
    assert titles == ["loss", "accuracy", "lr", "CPU and GPU use", "Memory use", "Cost", "Time by stage"]
    lines = [len(re.findall("<polyline", figure)) for figure in re.findall(r"<figure.*?</figure>", page.source)]
    assert lines == [2, 2, 1, 2, 2, 1, 0]


def test_every_drawing_is_described_for_those_who_do_not_see_it(tmp_path: Path) -> None:
    page = page_of(full_folder(tmp_path))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)) == 14
    for drawing in page.all("svg"):
        described = (drawing.get("aria-labelledby") or "").split()
        assert drawing.get("aria-hidden") == "true" or (len(described) == 2 and set(described) <= set(identifiers))
    assert "val_loss: 3 at 1, 0.6 at 5; lowest 0.6 at 5, highest 3 at 1 (epoch)." in page.text


def test_the_log_ends_with_its_last_200_lines(tmp_path: Path) -> None:
    page = page_of(full_folder(tmp_path))
    shown = re.findall(r"line (\d+)", page.source[page.source.index("<pre>") :])
    assert shown == [str(number) for number in range(300, 500)]


def test_the_log_reads_as_a_terminal_left_it(tmp_path: Path) -> None:
    (tmp_path / "job.log").write_bytes(b"\x1b[32mgreen\x1b[0m \x07bell\n 10 %\r 50 %\r100 %\r\n\xff\x00 \xe2\x80\xae end\n")
    assert "<pre>\ngreen \N{REPLACEMENT CHARACTER}bell\n100 %\n" in (source := page_of(tmp_path).source)
    assert not set("\x1b\x07\x00\r\u202e") & set(source)


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert_harmless(page)
    assert "not finished" in page.text
    assert "missing or damaged" in page.text
    assert str(tmp_path) not in page.source


@pytest.mark.parametrize("content", ["{", "[]", "null", "[" * 100_000])
def test_a_damaged_record_still_has_a_page(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert "missing or damaged" in page_of(tmp_path).text


@pytest.mark.parametrize("key", RECORD_KEYS)
@pytest.mark.parametrize("value", [None, -1, 1e300, "<b>x</b>", [[]], {"x": [None]}, True])
def test_no_field_of_the_record_can_break_the_page(tmp_path: Path, key: str, value: object) -> None:
    write_run_file(tmp_path, RECORD | {key: value})
    page = page_of(tmp_path)
    assert_harmless(page)
    assert "<b>x" not in page.source


@pytest.mark.parametrize("outcome", [outcome.value for outcome in Outcome])
def test_every_outcome_has_its_own_word_and_icon(tmp_path: Path, outcome: str) -> None:
    write_run_file(tmp_path, {"outcome": outcome})
    badge = re.search(r'<span class="badge (\w+)"><svg [^>]*>(.+?)</svg>(.+?)</span>', page_of(tmp_path).source)
    assert badge is not None
    tone, _, words = badge.groups()
    assert tone == "good" if outcome == "succeeded" else tone in ("bad", "warn", "calm")
    assert words != outcome or outcome in ("succeeded", "cancelled", "lost")


def test_a_machine_without_a_meter_costs_a_flat_nothing(tmp_path: Path) -> None:
    write_run_file(tmp_path, RECORD | {"price": {"usd_per_hour": 0.0}, "usd": 0.0})
    page = page_of(tmp_path)
    assert "No meter runs on this machine: it cost nothing." in page.text
    points = re.findall(r'points="(\S+) (\S+)"', page.source)
    assert len(points) == 1
    assert points[0][0].split(",")[1] == points[0][1].split(",")[1]


def test_an_unknown_price_draws_no_cost(tmp_path: Path) -> None:
    write_run_file(tmp_path, RECORD | {"price": {"usd_per_hour": None}})
    assert "<figcaption>Cost" not in page_of(tmp_path).source


def test_the_cost_reaches_what_the_hours_cost(tmp_path: Path) -> None:
    write_run_file(tmp_path, RECORD)
    assert "cost: $0.00 at 0, $1.01 at 60" in page_of(tmp_path).text


HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(1)">&lt;\'"\x00\x1b]0;x\x07\u202e\ud800'


def test_hostile_text_stands_on_the_page_as_text(tmp_path: Path) -> None:
    record = json.loads(json.dumps(RECORD), parse_float=lambda text: text)
    hostile = {key: HOSTILE if isinstance(value, str) and not key.endswith("_at") else value for key, value in record.items()}
    hostile["environment"] = {"python": HOSTILE, "packages": {HOSTILE: HOSTILE}}
    hostile["stages"] = [{"stage": HOSTILE, "seconds": 1}]
    hostile["git"] = {"commit": HOSTILE}
    (tmp_path / "run.json").write_text(json.dumps(hostile))
    name = "javascript:alert(1)<b>\"'&.txt"
    (tmp_path / name).write_text("x")
    (tmp_path / "metrics.jsonl").write_text(json.dumps({HOSTILE: 1, "epoch": 1}) + "\n")
    gpu = {"index": 0, "name": HOSTILE, "util_percent": 1}
    (tmp_path / "samples.jsonl").write_text(json.dumps({"t": "2026-11-21T14:00:00Z", "gpus": [gpu]}) + "\n")
    (tmp_path / "job.log").write_bytes(HOSTILE.encode("utf-8", "surrogatepass"))
    page = page_of(tmp_path)
    assert_harmless(page)
    assert "<script" not in page.source
    assert "<img" not in page.source
    assert page.text.count("<img src=x onerror=") >= 10
    assert not set("\x00\x1b\x07\u202e") & set(page.source)
    assert name in page.text
    assert page.all("a")[0]["href"] == "./javascript%3Aalert%281%29%3Cb%3E%22%27%26.txt"


def test_a_file_name_that_is_no_utf8_is_listed(tmp_path: Path) -> None:
    try:
        (tmp_path / "caf\udce9.txt").write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    page = page_of(tmp_path)
    assert page.all("a")[0]["href"] == "./caf%E9.txt"


def test_metrics_that_are_no_numbers_draw_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "loss": NaN}\n{"epoch": 2, "loss": Infinity}\n{nonsense\n')
    page = page_of(tmp_path)
    assert "nan" not in page.source.casefold()
    assert "<polyline" not in page.source
    assert "1 unreadable lines of metrics were left out." in page.text


def test_no_line_has_more_than_600_points(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step": {n}, "loss": {n % 97}}}\n' for n in range(50_000)))
    (tmp_path / "samples.jsonl").write_text(
        "".join(
            f'{{"t": "2026-11-21T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z", "cpu_percent": {n % 100}}}\n'
            for n in range(9000)
        )
    )
    source = page_of(tmp_path).source
    counts = [len(points.split()) for points in re.findall(r'<polyline [^>]*points="([^"]*)"', source)]
    assert len(counts) == 2
    assert all(500 <= count <= 600 for count in counts)
    assert len(source) < 100_000


def test_very_many_files_are_counted_and_not_listed(tmp_path: Path) -> None:
    for number in range(250):
        (tmp_path / f"{number:03}.bin").write_bytes(b"x" * 100)
    page = page_of(tmp_path)
    assert len(page.all("a")) == 200
    assert "and 50 more" in page.text
    assert "5.0 kB" in page.text


def test_the_run_s_own_files_and_links_did_not_come_back(tmp_path: Path) -> None:
    full_folder(tmp_path)
    (tmp_path / "link").symlink_to("/etc")
    write_report(tmp_path)
    assert [link["href"] for link in page_of(tmp_path).all("a")] == ["./results/metrics.jsonl", "./results/model.keras"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(max_size=20),
    xs=st.lists(st.floats() | st.integers(), max_size=8),
    ys=st.lists(st.floats() | st.sampled_from([1e308, -1e308, 5e-324, 0.0, -0.0, 1e100, 1 + 2**-52]), max_size=8),
    log=st.binary(max_size=60),
)
def test_whatever_was_measured_the_page_holds(tmp_path: Path, name: str, xs: list[float], ys: list[float], log: bytes) -> None:
    lines = [json.dumps({"epoch": x, name: y, f"val_{name}": -y}) for x, y in zip(xs, ys, strict=False)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    (tmp_path / "job.log").write_bytes(log)
    page = page_of(tmp_path)
    assert_harmless(page)
    for points in re.findall(r'points="([^"]*)"', page.source):
        for place in points.split():
            x, y = map(float, place.split(","))
            assert 53 <= x <= 509
            assert 9 <= y <= 193


@pytest.mark.parametrize(("seconds", "ends"), [(5e-324, []), (1e-80, ["520.0"]), (1e100, ["520.0"]), (1e308, []), (-1, [])])
def test_a_stage_of_absurd_length_stays_on_the_bar(tmp_path: Path, seconds: float, ends: list[str]) -> None:
    write_run_file(tmp_path, {"stages": [{"stage": "plan", "seconds": seconds}]})
    bars = [line for line in page_of(tmp_path).all("line") if line["class"] == "bar c0" and line["y1"] == "10"]
    assert [bar["x2"] for bar in bars] == ends
