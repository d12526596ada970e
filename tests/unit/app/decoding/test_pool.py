"""FFmpeg in processes of its own: the same sound, and nothing that a file does is felt here."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from app.decoding import sandbox
from app.decoding.errors import (
    AudioTooLongError,
    CorruptAudioError,
    DecoderFailedError,
    UnsupportedAudioError,
)
from app.decoding.limits import AudioLimits
from app.decoding.pool import DecoderPool
from app.decoding.recording import Recording, RecordingReader
from bench.servers import process_tree
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
TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderPool]:
    found = make_decoders()
    yield found
    found.close()


def make_decoders(
    count: int = 2, seconds: float = TIMEOUT_SECONDS, megabytes: int = 384
) -> DecoderPool:
    return DecoderPool(count, timeout_seconds=seconds, memory_bytes=megabytes * MEGABYTE)


def read(data: bytes, pool: DecoderPool | None, max_seconds: float = 600) -> Recording:
    limits = AudioLimits(max_seconds=max_seconds)
    if pool is None:
        return RecordingReader(limits).read(data, sample_rate=RATE)

    async def read_from_pool() -> Recording:
        async with RecordingReader(limits, pool).open(data, sample_rate=RATE) as stream:
            return await asyncio.to_thread(stream.read)

    return asyncio.run(read_from_pool())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
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
    assert (there.metadata, there.seconds) == (here.metadata, here.seconds)


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
    pool = make_decoders(count=2)
    reader = RecordingReader(AudioLimits(max_seconds=600), pool)

    async def read_one() -> float:
        async with reader.open(LONG, sample_rate=RATE) as stream:
            return (await asyncio.to_thread(stream.read)).seconds

    async def read_all() -> list[float]:
        return await asyncio.gather(*(read_one() for _ in range(6)))

    assert asyncio.run(read_all()) == pytest.approx([120] * 6, abs=0.1)
    assert len(pool.idle_process_ids()) == 2
    pool.close()


def test_processes_that_get_no_file_end_and_start_again() -> None:
    pool = DecoderPool(
        3, timeout_seconds=TIMEOUT_SECONDS, memory_bytes=384 * MEGABYTE, idle_seconds=0.0
    )
    others = set(process_tree(os.getpid()))

    def processes() -> set[int]:
        return set(process_tree(os.getpid())) - others

    with pool.open(M4A), pool.open(M4A), pool.open(M4A):
        assert len(processes()) == 3
    until(lambda: not pool.idle_process_ids())
    until(lambda: not processes())
    assert read(M4A, pool).seconds == pytest.approx(2, abs=0.1)
    until(lambda: not processes())
    pool.close()


def test_a_slot_that_is_not_used_is_free_again_and_cannot_be_used_later() -> None:
    pool = make_decoders(count=1)

    async def reserve_twice() -> None:
        async with pool.reserve() as first:
            pass
        with pytest.raises(RuntimeError, match="released"), first.open(M4A):
            pass
        async with asyncio.timeout(TIMEOUT_SECONDS), pool.reserve():
            pass

    asyncio.run(reserve_twice())
    assert pool.idle_process_ids() == []


def test_a_slot_is_free_when_the_thread_is_done_and_not_when_nobody_waits_any_more() -> None:
    pool = make_decoders(count=1)

    async def cancel() -> None:
        async with pool.reserve() as slot:
            opened = slot.open(LONG)
            source = await asyncio.to_thread(opened.__enter__)
        waiting = asyncio.ensure_future(anext(_reserved(pool)))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        assert source.metadata.format == "mp4"
        await asyncio.to_thread(opened.__exit__, None, None, None)
        await asyncio.wait_for(waiting, TIMEOUT_SECONDS)

    asyncio.run(cancel())
    pool.close()


def test_a_turn_is_not_lost_with_those_who_wait_no_longer() -> None:
    pool = make_decoders(count=1)

    async def wait_in_vain() -> None:
        async with pool.reserve():
            waiting = [asyncio.ensure_future(anext(_reserved(pool))) for _ in range(3)]
            await asyncio.wait(waiting, timeout=0.05)
            waiting[0].cancel()
            last = asyncio.ensure_future(anext(_reserved(pool)))
            await asyncio.wait([last], timeout=0.05)
            waiting[1].cancel()
        waiting[2].cancel()  # which may have been woken by now
        await asyncio.wait_for(last, TIMEOUT_SECONDS)

    asyncio.run(wait_in_vain())


async def _reserved(pool: DecoderPool) -> AsyncIterator[bool]:
    async with pool.reserve():
        yield True


def test_processes_start_when_they_are_needed_and_end_when_told() -> None:
    decoders = make_decoders()
    assert decoders.idle_process_ids() == []
    read(M4A, decoders)
    (process_id,) = decoders.idle_process_ids()
    read(M4A, decoders)
    assert decoders.idle_process_ids() == [process_id]
    decoders.close()
    assert is_gone(process_id)


def test_a_long_recording_is_never_held() -> None:
    """Its samples are 77 MB."""
    decoders = make_decoders(count=1)
    with decoders.open(SILENCE) as source:
        frames = sum(len(block) for block in source.blocks())
    assert frames == 1200 * RATE
    (process_id,) = decoders.idle_process_ids()
    status = Path(f"/proc/{process_id}/status").read_text().split()
    held = int(status[status.index("VmHWM:") + 1]) * 1024
    # 51 MB were seen.
    assert held < 75 * MEGABYTE
    decoders.close()


def test_a_recording_that_is_given_up_frees_its_process() -> None:
    decoders = make_decoders(count=1)
    read(M4A, decoders)
    (process_id,) = decoders.idle_process_ids()
    with pytest.raises(AudioTooLongError):  # known from what it declares
        read(LONG, decoders, max_seconds=60)
    with decoders.open(LONG) as source:
        blocks = source.blocks()
        next(blocks)
        assert decoders.idle_process_ids() == []
    assert decoders.idle_process_ids() == [process_id]
    np.testing.assert_array_equal(read(M4A, decoders).samples, read(M4A, None).samples)
    assert decoders.idle_process_ids() == [process_id]
    decoders.close()


def test_a_process_that_is_killed_costs_one_file(caplog: pytest.LogCaptureFixture) -> None:
    decoders = make_decoders(count=1)
    read(M4A, decoders)
    (process_id,) = decoders.idle_process_ids()
    with decoders.open(LONG) as source:
        blocks = source.blocks()
        next(blocks)
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(DecoderFailedError, match="broke down over the file"):
            list(blocks)
    assert "status -9" in caplog.text
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)
    (another,) = decoders.idle_process_ids()
    assert another != process_id
    os.kill(another, signal.SIGKILL)  # while it has nothing to do: that costs none
    until(lambda: is_gone(another))
    assert read(M4A, decoders).seconds == pytest.approx(2, abs=0.1)
    decoders.close()


def test_a_process_that_hangs_is_killed() -> None:
    decoders = make_decoders(count=1, seconds=1)
    read(M4A, decoders)
    (process_id,) = decoders.idle_process_ids()
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
    folder = Path(f"/proc/{decoders.idle_process_ids()[0]}")
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
    (cpu,) = (line for line in limits.splitlines() if line.startswith("Max cpu time"))
    assert TIMEOUT_SECONDS < int(cpu.split()[3]) <= TIMEOUT_SECONDS + 30  # and what it took so far
    assert len(list((folder / "fd").iterdir())) == 3
    if sandbox.is_available():
        assert "\nSeccomp:\t2\n" in (folder / "status").read_text()  # 2: by a filter
    decoders.close()


@pytest.mark.skipif(not sandbox.is_available(), reason="there is no libseccomp")
def test_a_confined_process_computes_and_does_nothing_else(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("kept")
    code = f"""
import os, resource, socket, threading
from app.decoding import sandbox

def works(call):
    try:
        call()
    except PermissionError:
        return False
    return True

calls = [
    lambda: open({str(there)!r}),
    lambda: os.unlink({str(there)!r}),
    lambda: os.listdir("/"),
    lambda: socket.socket(),
    lambda: os.fork(),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.kill(os.getppid(), 0),
    lambda: os.setuid(0),
    lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
]
sandbox.confine()
print(*(works(call) for call in calls))
thread = threading.Thread(target=lambda: print(len(bytearray(1 << 24))))
thread.start()
thread.join()
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == ["False"] * 9 + [str(1 << 24)]
    assert there.read_text() == "kept"


@pytest.mark.parametrize("at_work", [False, True])
def test_processes_end_with_whoever_started_them(at_work: bool, tmp_path: Path) -> None:
    (tmp_path / "long.m4a").write_bytes(LONG)
    code = (
        "import sys, pathlib; from app.decoding.pool import DecoderPool\n"
        "decoders = DecoderPool(1, timeout_seconds=60, memory_bytes=1 << 29)\n"
        "with decoders.open(pathlib.Path(sys.argv[1]).read_bytes()) as source:\n"
        "    for _ in source.blocks():\n"
        f"        if {at_work}: break\n"
        "    else: source = None\n"
        f"    if {at_work}: print(source._process.id, flush=True); input()\n"
        "print(*decoders.idle_process_ids(), flush=True); input()"
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
