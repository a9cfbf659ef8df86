"""The law for every `Remote`: subclass `RemoteContract`, give it a `remote` fixture, and pytest holds court.

The files' half of it is in `remote_files_contract`; `RemoteContract` is both.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from ..model.errors import HostUnreachableError, RemoteFileError
from ..remote.base import Remote
from ..remote.fileset import gather
from .remote_files_contract import RemoteFilesContract, plant, snapshot

MIB = 1 << 20

HOLD = """
import fcntl, os, signal, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
signal.pause()
"""
TAKE = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX)"
PATIENCE_S = 30.0

ODD_ARGUMENTS = [
    "",
    " ",
    "a b",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "*",
    "a\nb",
    "-n",
    "\\",
    "é ü 漢 🎉",
    "!x",
    "~",
    "a;b|c&",
    "x" * 50_000,
    "",
]


def first_line(chunks: Iterator[bytes]) -> bytes:
    """Return a stream's first line; how a stream is cut into chunks is nobody's promise."""
    said = b""
    while b"\n" not in said:
        said += next(chunks)
    return said.split(b"\n")[0]


class RemoteContract(RemoteFilesContract):
    """What a command, a stream, a small file and a shell promise, whatever the line is made of."""

    def test_a_transfer_may_be_expected_and_need_not_come(self, remote: Remote, tmp_path: Path) -> None:
        planted = plant(tmp_path / "planted")
        remote.expect_push(remote.home / "work")
        remote.expect_push(remote.home / "work")
        assert remote.run(["true"]).exit_code == 0
        remote.push(gather(planted, ["."]), remote.home / "work")
        remote.pull(remote.home / "work", tmp_path / "back")
        assert snapshot(tmp_path / "back") == snapshot(planted)
        remote.expect_push(remote.home / "work")
        remote.push(gather(planted, ["."]), remote.home / "elsewhere")
        assert remote.weigh(remote.home / "elsewhere").files == remote.weigh(remote.home / "work").files
        remote.expect_push(remote.home / "elsewhere")

    def test_home_is_there_and_is_private(self, remote: Remote) -> None:
        script = "import os, stat; print(oct(stat.S_IMODE(os.stat(os.getcwd()).st_mode)), os.getcwd())"
        done = remote.run([remote.python, "-c", script])
        assert done.stdout.split() == [b"0o700", str(remote.home).encode()]
        assert remote.cache.is_absolute()

    def test_python_is_new_enough(self, remote: Remote) -> None:
        assert remote.run([remote.python, "-c", "import sys; sys.exit(sys.version_info < (3, 8))"]).exit_code == 0

    @pytest.mark.parametrize("code", [0, 1, 255])
    def test_an_exit_code_is_an_answer_even_the_one_of_a_broken_line(self, remote: Remote, code: int) -> None:
        done = remote.run(["sh", "-c", f"echo out; echo err >&2; exit {code}"])
        assert (done.exit_code, done.stdout, done.stderr) == (code, b"out\n", b"err\n")

    def test_a_signal_is_told_from_an_exit_code(self, remote: Remote) -> None:
        assert remote.run(["sh", "-c", "kill -9 $$"]).exit_code == -9
        assert remote.run(["sh", "-c", "exit 137"]).exit_code == 137

    def test_a_command_that_is_not_there_answers_as_a_shell_would(self, remote: Remote) -> None:
        done = remote.run(["cloudtrain-no-such-command"])
        assert done.exit_code == 127
        assert b"cloudtrain-no-such-command" in done.stderr

    def test_arguments_arrive_as_they_were_given(self, remote: Remote) -> None:
        script = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
        done = remote.run([remote.python, "-c", script, *ODD_ARGUMENTS])
        assert done.stdout.decode().split("\0") == ODD_ARGUMENTS

    def test_standard_input_arrives_and_ends(self, remote: Remote) -> None:
        content = bytes(range(256))
        assert remote.run(["cat"], stdin=content).stdout == content
        assert remote.run(["cat"]).stdout == b""

    def test_a_mebibyte_both_ways_and_beside_it_does_not_jam(self, remote: Remote) -> None:
        script = "tee /dev/stderr"
        content = bytes(range(256)) * (MIB // 256)
        done = remote.run(["sh", "-c", script], stdin=content)
        assert done.exit_code == 0
        assert done.stdout == content
        assert done.stderr == content

    def test_input_that_is_not_read_is_no_error(self, remote: Remote) -> None:
        assert remote.run(["sh", "-c", "exit 3"], stdin=bytes(MIB)).exit_code == 3

    def test_a_command_that_takes_too_long_is_ended(self, remote: Remote) -> None:
        lock = str(remote.home / "lock")
        with pytest.raises(HostUnreachableError):
            remote.run([remote.python, "-c", HOLD, lock], timeout=0.2)
        assert remote.run([remote.python, "-c", TAKE, lock], timeout=PATIENCE_S).exit_code == 0

    def test_a_stream_is_complete_and_in_order(self, remote: Remote) -> None:
        lines = 5_000
        with remote.stream(["sh", "-c", f"i=0; while [ $i -lt {lines} ]; do echo $i; i=$((i+1)); done"]) as chunks:
            said = b"".join(chunks)
        assert said == b"".join(b"%d\n" % number for number in range(lines))

    def test_a_stream_comes_while_the_command_runs(self, remote: Remote) -> None:
        with remote.stream([remote.python, "-c", HOLD, str(remote.home / "lock")]) as chunks:
            assert first_line(chunks) == b"held"

    def test_a_stream_takes_standard_input(self, remote: Remote) -> None:
        with remote.stream(["tr", "a-z", "A-Z"], stdin=b"abc") as chunks:
            assert b"".join(chunks) == b"ABC"

    @pytest.mark.parametrize("ending", ["exit 1", "kill -9 $$"])
    def test_a_stream_whose_command_failed_is_not_complete(self, remote: Remote, ending: str) -> None:
        said = b""
        with (
            remote.stream(["sh", "-c", f"echo half; echo reason >&2; {ending}"]) as chunks,
            pytest.raises(HostUnreachableError) as caught,
        ):
            for chunk in chunks:
                said += chunk
        assert said == b"half\n"
        assert "reason" in caught.value.hint

    def test_a_stream_of_what_is_not_there_fails(self, remote: Remote) -> None:
        with remote.stream(["cloudtrain-no-such-command"]) as chunks, pytest.raises(HostUnreachableError):
            list(chunks)

    def test_leaving_a_stream_ends_the_command_and_its_children(self, remote: Remote) -> None:
        lock = str(remote.home / "lock")
        with remote.stream(["sh", "-c", '"$0" -c "$1" "$2" & wait', remote.python, HOLD, lock]) as chunks:
            assert first_line(chunks) == b"held"
        assert remote.run([remote.python, "-c", TAKE, lock], timeout=PATIENCE_S).exit_code == 0

    def test_leaving_a_flood_ends_it(self, remote: Remote) -> None:
        with remote.stream(
            ["sh", "-c", 'exec 9>lock; "$0" -c "import fcntl; fcntl.flock(9, 2)"; yes', remote.python]
        ) as chunks:
            assert first_line(chunks) == b"y"
        assert remote.run([remote.python, "-c", TAKE, "lock"], timeout=PATIENCE_S).exit_code == 0

    def test_a_failure_inside_the_block_is_the_callers_own(self, remote: Remote) -> None:
        with pytest.raises(KeyError), remote.stream(["yes"]) as chunks:
            next(chunks)
            raise KeyError

    def test_what_is_detached_outlives_its_command(self, remote: Remote) -> None:
        script = (
            "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1], 'lock'], start_new_session=True,"
            " stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL); p.stdout.readline(); print(p.pid)"
        )
        pid = remote.run([remote.python, "-c", script, HOLD]).stdout.decode().strip()
        assert remote.run(["kill", "-0", pid]).exit_code == 0
        assert remote.run(["kill", "-9", pid]).exit_code == 0

    @pytest.mark.parametrize("code", [0, 7, 255])
    def test_a_shell_gives_the_commands_own_exit_code(self, remote: Remote, code: int) -> None:
        assert remote.shell(["sh", "-c", f"exit {code}"]) == code

    def test_a_shells_command_gets_its_arguments_as_they_are(self, remote: Remote) -> None:
        assert remote.shell(["sh", "-c", 'printf %s "$1" > "$2"', "sh", "it's; $HOME", str(remote.home / "said")]) == 0
        assert remote.read(remote.home / "said") == b"it's; $HOME"

    def test_a_small_file_goes_and_comes(self, remote: Remote) -> None:
        path = remote.home / "new folder" / "deep" / "é\n'.json"
        remote.write(path, b"\0\xff first")
        remote.write(path, b"\0\xff second")
        assert remote.read(path) == b"\0\xff second"
        assert [remote.read(path, offset=offset) for offset in (3, 9, 99)] == [b"second", b"", b""]

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o700])
    def test_a_small_file_has_its_mode(self, remote: Remote, mode: int) -> None:
        remote.write(remote.home / "file", b"", mode=mode)
        done = remote.run([remote.python, "-c", "import os; print(os.stat('file').st_mode & 0o777)"])
        assert int(done.stdout) == mode

    def test_a_small_file_is_replaced_in_one_step(self, remote: Remote) -> None:
        remote.write(remote.home / "file", b"old")
        holder = "import os; f = open('file'); print('open', flush=True); input(); print(f.read(), os.listdir())"
        inode = "import os; print(os.stat('file').st_ino)"
        before = remote.run([remote.python, "-c", inode]).stdout
        remote.write(remote.home / "file", b"new")
        assert remote.run([remote.python, "-c", inode]).stdout != before
        listing = remote.run([remote.python, "-c", holder], stdin=b"\n").stdout
        assert b"arriving" not in listing

    def test_a_file_that_is_not_there_cannot_be_read(self, remote: Remote) -> None:
        for path in (remote.home / "absent", remote.home, remote.home / "a" / "b"):
            with pytest.raises(RemoteFileError):
                remote.read(path)

    def test_a_place_that_cannot_be_written_says_so(self, remote: Remote) -> None:
        remote.write(remote.home / "file", b"")
        for path in (remote.home / "file" / "below", PurePosixPath("/proc/cloudtrain/no"), remote.home):
            with pytest.raises(RemoteFileError):
                remote.write(path, b"")

    def test_closing_twice_is_safe(self, remote: Remote) -> None:
        remote.run(["true"])
        remote.close()
        remote.close()

    def test_it_is_its_own_context(self, remote: Remote) -> None:
        with remote as line:
            assert line is remote
