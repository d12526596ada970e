"""FFmpeg in processes of its own: the same sound, and nothing that a file does is felt here."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.decoding.errors import (
    AudioTooLongError,
    CorruptAudioError,
    DecoderFailedError,
    UnsupportedAudioError,
)
from app.decoding.pool import DecoderPool
from app.decoding.recording import Recording, read_recording
from tests.support.encoders import encode_av
from tests.support.sounds import RATE, make

STEREO = np.stack([make("siren", 1), make("car_horn", 1)], axis=1)
FILES = {
    "m4a": encode_av(STEREO, RATE, "ipod", "aac"),
    "alac": encode_av(STEREO, RATE, "ipod", "alac"),
    "aac": encode_av(STEREO, RATE, "adts", "aac"),
    "webm": encode_av(STEREO, 48_000, "webm", "libopus"),
    "flac in ogg": encode_av(STEREO, RATE, "ogg", "flac"),
}
M4A = FILES["m4a"]
LONG = encode_av(np.tile(STEREO, (60, 1)), RATE, "ipod", "aac")
SILENCE = encode_av(np.zeros((1200 * RATE, 1), np.float32), RATE, "ogg", "flac")
MEGABYTE = 1 << 20
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderPool]:
    found = make_decoders()
    yield found
    found.close()


def make_decoders(
    count: int = 2, seconds: float = PATIENCE_SECONDS, megabytes: int = 384
) -> DecoderPool:
    return DecoderPool(count, seconds=seconds, memory_bytes=megabytes * MEGABYTE)


def read(data: bytes, decoders: DecoderPool | None, max_seconds: float = 600) -> Recording:
    opener = None if decoders is None else decoders.open
    return read_recording(data, sample_rate=RATE, max_seconds=max_seconds, open_with_ffmpeg=opener)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(process_id: int) -> bool:
    """Whether a process has ended; it may wait to be noticed by whoever is its parent now."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize("name", FILES)
def test_a_process_decodes_what_is_decoded_here(name: str, decoders: DecoderPool) -> None:
    there, here = read(FILES[name], decoders), read(FILES[name], None)
    np.testing.assert_array_equal(there.samples, here.samples)
    assert (there.info, there.seconds) == (here.info, here.seconds)


def test_what_is_wrong_is_said_as_here(decoders: DecoderPool) -> None:
    for data, error in (
        (M4A[: len(M4A) // 2], CorruptAudioError),
        (encode_av(STEREO, 48_000, "matroska", "ac3"), UnsupportedAudioError),
        (b"text" * 100, UnsupportedAudioError),
    ):
        with pytest.raises(error) as here:
            read(data, None)
        with pytest.raises(error) as there:
            read(data, decoders)
        assert str(there.value) == str(here.value)
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)


def test_more_recordings_than_processes_are_all_decoded() -> None:
    decoders = make_decoders(count=2)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: read(LONG, decoders).seconds, range(6)))
    assert found == pytest.approx([120] * 6, abs=0.1)
    assert len(decoders.process_ids()) == 2
    decoders.close()


def test_processes_start_when_they_are_needed_and_end_when_told() -> None:
    decoders = make_decoders()
    assert decoders.process_ids() == []
    read(M4A, decoders)
    (process_id,) = decoders.process_ids()
    read(M4A, decoders)
    assert decoders.process_ids() == [process_id]
    decoders.close()
    assert is_gone(process_id)


def test_a_long_recording_is_never_held() -> None:
    """Its samples are 77 MB."""
    decoders = make_decoders(count=1)
    with decoders.open(SILENCE) as source:
        frames = sum(block.size for block in source.blocks())
    assert frames == 1200 * RATE
    (process_id,) = decoders.process_ids()
    status = Path(f"/proc/{process_id}/status").read_text().split()
    held = int(status[status.index("VmHWM:") + 1]) * 1024
    # 51 MB were seen.
    assert held < 75 * MEGABYTE
    decoders.close()


def test_a_recording_that_is_given_up_frees_its_process() -> None:
    decoders = make_decoders(count=1)
    read(M4A, decoders)
    (process_id,) = decoders.process_ids()
    with pytest.raises(AudioTooLongError):  # known from what it declares
        read(LONG, decoders, max_seconds=60)
    with decoders.open(LONG) as source:
        blocks = source.blocks()
        next(blocks)
        assert decoders.process_ids() == []
    assert decoders.process_ids() == [process_id]
    np.testing.assert_array_equal(read(M4A, decoders).samples, read(M4A, None).samples)
    assert decoders.process_ids() == [process_id]
    decoders.close()


def test_a_process_that_is_killed_costs_one_file(caplog: pytest.LogCaptureFixture) -> None:
    decoders = make_decoders(count=1)
    read(M4A, decoders)
    (process_id,) = decoders.process_ids()
    with decoders.open(LONG) as source:
        blocks = source.blocks()
        next(blocks)
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(DecoderFailedError, match="broke down over the file"):
            list(blocks)
    assert "status -9" in caplog.text
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)
    (another,) = decoders.process_ids()
    assert another != process_id
    os.kill(another, signal.SIGKILL)  # while it has nothing to do: that costs none
    until(lambda: is_gone(another))
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)
    decoders.close()


def test_a_process_that_hangs_is_killed() -> None:
    decoders = make_decoders(count=1, seconds=1)
    read(M4A, decoders)
    (process_id,) = decoders.process_ids()
    os.kill(process_id, signal.SIGSTOP)
    with pytest.raises(DecoderFailedError, match="longer than the 1 s"):
        read(M4A, decoders)
    assert is_gone(process_id)
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)
    decoders.close()


def test_a_file_gets_no_more_memory_than_it_may_have() -> None:
    decoders = make_decoders(count=1, megabytes=128)
    with pytest.raises(DecoderFailedError, match="broke down"):
        read(M4A + bytes(130 * MEGABYTE), decoders)
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)
    decoders.close()


def test_a_process_knows_no_secrets_and_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SECRET", "hush")
    decoders = make_decoders(count=1)
    read(M4A, decoders)
    folder = Path(f"/proc/{decoders.process_ids()[0]}")
    assert b"hush" not in (folder / "environ").read_bytes()
    limits = (folder / "limits").read_text()
    for name, value in (
        ("Max data size", 384 * MEGABYTE),
        ("Max core file size", 0),
        ("Max file size", 0),
        ("Max open files", 16),
        ("Max processes", 0),
    ):
        (line,) = (line for line in limits.splitlines() if line.startswith(name))
        assert line.removeprefix(name).split()[:2] == [str(value), str(value)]
    assert len(list((folder / "fd").iterdir())) == 3
    decoders.close()


@pytest.mark.parametrize("at_work", [False, True])
def test_processes_end_with_whoever_started_them(at_work: bool, tmp_path: Path) -> None:
    (tmp_path / "long.m4a").write_bytes(LONG)
    code = (
        "import sys, pathlib; from app.decoding.pool import Decoders\n"
        "decoders = Decoders(1, seconds=60, memory_bytes=1 << 29)\n"
        "with decoders.open(pathlib.Path(sys.argv[1]).read_bytes()) as source:\n"
        "    for _ in source.blocks():\n"
        f"        if {at_work}: break\n"
        "    else: source = None\n"
        f"    if {at_work}: print(source._process.id, flush=True); input()\n"
        "print(*decoders.process_ids(), flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "long.m4a")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        assert not is_gone(process_id)
        parent.kill()
    until(lambda: is_gone(process_id))
