"""The launcher of servers, and the resources of a server by the files of /proc."""

import os
import subprocess
import sys
import tempfile
import time

import pytest

from bench.servers import Log, Server, peak_memory, start


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_process_is_charged_what_the_system_says_it_took() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    process.pid = os.getpid()
    with tempfile.TemporaryFile() as file:
        here = Server(process, ("127.0.0.1", 0), Log(file), 0.0)
    before, began = here.cpu_seconds(), time.process_time()
    held = here.resource_usage()
    while time.process_time() - began < 0.3:
        pass
    ballast = bytearray(os.urandom(50_000_000))
    took = time.process_time() - began
    assert here.cpu_seconds() - before == pytest.approx(took, abs=0.05)
    usage = here.resource_usage()
    assert usage.resident_bytes - held.resident_bytes == pytest.approx(len(ballast), rel=0.2)
    assert peak_memory(os.getpid()) >= usage.resident_bytes * 0.99
    with tempfile.TemporaryFile():
        assert here.resource_usage().files == usage.files + 1


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
