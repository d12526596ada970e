"""Small files that decode to hours, and files that lie, sent to a real server."""

import re
from pathlib import Path

import pytest

from tests.e2e.test_decoding import M4A, WAV, post
from tests.support.bombs import bombs, decodable
from tests.support.serving import serve

_MEGABYTE = 1 << 20
_MEMORY = 120 * _MEGABYTE  # beside the largest file; 60 were seen
_LONGEST_SECONDS = 20  # of one answer, on a machine that has other things to do


@pytest.mark.parametrize("route", ["/classify/urban-sound", "/spectrogram"])
def test_bombs_are_refused_and_take_neither_time_nor_memory(route: str, siren_store: Path) -> None:
    with serve(models_dir=siren_store, max_seconds=600, decoder_processes=1) as client:
        assert [post(client, data).status_code for data in (WAV, M4A)] == [200, 200]
        assert client.post(route, content=WAV, headers={"Content-Type": "audio/x"}).is_success
        before = client.peak_memory()
        (decoder,) = client.children()
        for files, statuses in ((bombs(), {415, 422}), (decodable(), {200, 422})):
            for name, data in files.items():
                answer = client.post(route, content=data, headers={"Content-Type": "audio/x"})
                assert answer.status_code in statuses, (name, answer.text[:300])
                assert answer.elapsed.total_seconds() < _LONGEST_SECONDS, name
        largest = max(map(len, (*bombs().values(), *decodable().values())))
        assert client.peak_memory() - before < 2 * largest + _MEMORY
        # Nothing broke it down, nothing made it large.
        assert client.children() == [decoder]
        assert peak_memory(decoder) < 2 * largest + _MEMORY
        assert post(client, M4A).json()["label"] == "siren"


def test_what_is_wrong_with_a_bomb_is_said(siren_store: Path) -> None:
    with serve(models_dir=siren_store, max_seconds=600) as client:
        for name, data in bombs().items():
            if "of an hour" in name:
                problem = post(client, data).json()
                assert problem["type"] == "/problems/recording-too-long", name
                assert "longer than the 600 s" in problem["detail"]


def test_a_table_without_end_is_refused_for_its_memory(siren_store: Path) -> None:
    with serve(models_dir=siren_store) as client:
        problem = post(client, decodable()["m4a with 2^32 times"]).json()
    assert problem["type"] == "/problems/undecodable"
    assert problem["detail"] == "decoding the file takes more memory than it may"


def peak_memory(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
