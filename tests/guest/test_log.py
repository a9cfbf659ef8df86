import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrain.guest import log
from cloudtrain.guest.log import LogWriter

STAMP = b"2026-11-21T04:05:06.123Z "
NOON = 1795233906.123


def written(path: Path, *chunks: bytes) -> bytes:
    writer = LogWriter(str(path), lambda: NOON)
    for chunk in chunks:
        writer.write(chunk)
    writer.close()
    return path.read_bytes()


def test_each_line_begins_with_a_stamp(tmp_path) -> None:
    assert written(tmp_path / "log", b"one\ntwo\n\n", b"three\n") == b"".join(
        [STAMP + b"one\n", STAMP + b"two\n", STAMP + b"\n", STAMP + b"three\n"]
    )


def test_partial_line_is_written_at_once_and_stamped_once(tmp_path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path), lambda: NOON)
    seen = []
    for chunk in (b" 10%", b"\r 20%", b"\r 30%\n"):
        writer.write(chunk)
        seen.append(path.read_bytes())
    writer.close()
    assert seen == [STAMP + b" 10%", STAMP + b" 10%\r 20%", STAMP + b" 10%\r 20%\r 30%\n"]


@given(st.lists(st.binary(max_size=20).map(lambda text: text.replace(b"2", b"\n"))))
def test_without_its_stamps_the_log_is_what_was_written(tmp_path_factory, chunks) -> None:
    content = written(tmp_path_factory.mktemp("log") / "log", *chunks)
    assert re.sub(rb"(?m)^" + re.escape(STAMP), b"", content) == b"".join(chunks)
    assert all(line.startswith(STAMP) for line in content.split(b"\n") if line)


def test_full_disk_loses_lines_counts_them_and_says_so_when_there_is_room_again(tmp_path, monkeypatch) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path), lambda: NOON)
    writer.write(b"kept\nhal")
    real = os.write

    def refuse(file: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log.os, "write", refuse)
    writer.write(b"f lost\n")
    writer.write(b"lost\n")
    monkeypatch.setattr(log.os, "write", real)
    writer.write(b"back\n")
    writer.close()
    assert path.read_bytes().split(b"\n") == [
        STAMP + b"kept",
        STAMP + b"hal",
        STAMP + b"cloudtrain: lines of this log were lost here (No space left on device)",
        STAMP + b"back",
        b"",
    ]
    assert writer.lost_bytes == len(b"f lost\nlost\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_disk_does_not_kill_the_job(make_run) -> None:
    run = make_run("head -c 1000000 /dev/zero; echo; exit 3")
    os.symlink("/dev/full", run.path / "job.log")
    run.start()
    state = run.guest.ask("signal", run.path, "CONT", "--grace", "50")
    assert (state["phase"], state["exit_code"], state["log_lost_bytes"]) == ("ended", 3, 1_000_001)
