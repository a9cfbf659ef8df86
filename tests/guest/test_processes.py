import os

import pytest

from cloudtrain.guest import processes


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Put a tool of a system without /proc on PATH."""
    monkeypatch.setattr(processes, "_PROC", str(tmp_path / "no-proc"))
    monkeypatch.setattr(processes, "_HAS_PROC", False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def put(name: str, script: str) -> None:
        (tmp_path / name).write_text("#!/bin/sh\n" + script)
        (tmp_path / name).chmod(0o755)

    return put


def test_start_is_read_in_one_language_and_time_zone(tool, monkeypatch) -> None:
    tool("ps", 'echo "$LC_ALL $TZ $*"')
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert processes.start_mark(7) == "C UTC -o lstart= -p 7"


def test_boot_is_known_by_its_session(tool) -> None:
    tool("sysctl", 'echo "$2"')
    assert processes.boot_id.__wrapped__() == "kern.bootsessionuuid"


def test_boot_is_known_by_its_time_where_sessions_have_no_name(tool) -> None:
    tool("sysctl", '[ "$2" = kern.boottime ] && echo "$2"')
    assert processes.boot_id.__wrapped__() == "kern.boottime"
