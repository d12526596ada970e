"""The launcher of servers, and the resources of a server by the files of /proc."""

import subprocess
import sys
import tempfile

import pytest

from bench.servers import Log, Server, peak_memory, start

BUSY = """
import os, tempfile, time
print("started", flush=True)
input()
while time.process_time() < 0.5:
    pass
ballast = bytearray(os.urandom(50_000_000))
file = tempfile.TemporaryFile()
print(time.process_time(), flush=True)
input()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_process_is_charged_what_the_system_says_it_took() -> None:
    """The process is new: one that has run long has memory to spare, and less mapped later."""
    pipe = subprocess.PIPE
    with (
        subprocess.Popen([sys.executable, "-c", BUSY], stdin=pipe, stdout=pipe) as process,
        tempfile.TemporaryFile() as file,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        server = Server(process, ("127.0.0.1", 0), Log(file), 0.0)
        process.stdout.readline()
        before = server.resource_usage()
        process.stdin.write(b"\n")
        process.stdin.flush()
        took = float(process.stdout.readline())
        assert server.cpu_seconds() == pytest.approx(took, abs=0.05)
        usage = server.resource_usage()
        held = usage.resident_bytes - before.resident_bytes
        assert held == pytest.approx(50_000_000, rel=0.2)
        assert peak_memory(process.pid) >= usage.resident_bytes * 0.99
        assert usage.files == before.files + 1
        process.stdin.write(b"\n")


def test_a_log_is_read_while_it_is_written() -> None:
    with tempfile.TemporaryFile() as file:
        log = Log(file)
        file.write(b"one\ntwo")
        file.flush()
        assert (log.lines, log.text) == (["one\n"], "one\ntwo")
        file.write(b" and a half\n")
        file.flush()
        assert log.wait_for(lambda line: "half" in line) == "two and a half\n"
        log.freeze()
    assert log.lines == ["one\n", "two and a half\n"]


def test_a_server_that_ends_is_told_with_its_log() -> None:
    with (
        pytest.raises(RuntimeError, match="the server ended: EARSHOT_"),
        start(settings={"port": "none", "threads": "none"}),
    ):
        pass
