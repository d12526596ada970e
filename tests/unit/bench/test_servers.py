"""What a server under test costs, by the files of /proc."""

import os
import sys
import time

import pytest

from bench.other_servers import Server


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_process_is_charged_what_the_system_says_it_took() -> None:
    here = Server(port=0, process_id=os.getpid(), first_answer_seconds=0.0)
    before, began = here.cpu_seconds(), time.process_time()
    held = here.resident_bytes()
    while time.process_time() - began < 0.3:
        pass
    ballast = bytearray(os.urandom(50_000_000))
    took = time.process_time() - began
    assert here.cpu_seconds() - before == pytest.approx(took, abs=0.05)
    assert here.resident_bytes() - held == pytest.approx(len(ballast), rel=0.2)
