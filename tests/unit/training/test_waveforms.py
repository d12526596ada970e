"""The cache of decoded recordings: by content, shared, and never twice."""

import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.sounds import RATE, encode, make
from training.corpora import CorpusError, LabeledRecording
from training.data_source import TrainingData, prepare
from training.waveforms import decode_all, group_copies, readable


def write(folder: Path, name: str, seed: int) -> LabeledRecording:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(make("siren", seed, seconds=1.0)))
    return LabeledRecording(path, "siren", "folders", f"folders:{name}", name)


def test_lists_of_recordings_share_what_was_decoded(
    tmp_path: Path, decoded: Counter[bytes]
) -> None:
    recordings = [write(tmp_path, f"{seed}.wav", seed) for seed in range(6)]
    cache = tmp_path / "cache"
    for part in (recordings[:4], recordings[2:], recordings[::-1], [*recordings, *recordings]):
        waveforms = decode_all(part, sample_rate=RATE, cache=cache)
        for recording in part:
            expected = make("siren", int(recording.path.stem), seconds=1.0)
            np.testing.assert_allclose(waveforms[recording], expected, atol=1e-4)
    assert len(decoded) == 6
    assert set(decoded.values()) == {1}


def test_a_copy_and_a_new_name_are_the_same_content(
    tmp_path: Path, decoded: Counter[bytes]
) -> None:
    first = write(tmp_path, "a/1.wav", seed=1)
    copy = LabeledRecording(tmp_path / "b" / "2.wav", "siren", "folders", "folders:b", "b")
    copy.path.parent.mkdir()
    shutil.copy(first.path, copy.path)
    both = decode_all([first, copy], sample_rate=RATE, cache=tmp_path / "cache")
    np.testing.assert_array_equal(both[first], both[copy])
    moved = LabeledRecording(tmp_path / "c.wav", "siren", "folders", "folders:c", "c")
    copy.path.rename(moved.path)
    assert moved in decode_all([moved], sample_rate=RATE, cache=tmp_path / "cache")
    assert list(decoded.values()) == [1]


def test_new_content_under_an_old_name_is_decoded(tmp_path: Path) -> None:
    recording = write(tmp_path, "1.wav", seed=1)
    before = decode_all([recording], sample_rate=RATE, cache=tmp_path / "cache")[recording]
    status = recording.path.stat()
    write(tmp_path, "1.wav", seed=2)
    os.utime(recording.path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    after = decode_all([recording], sample_rate=RATE, cache=tmp_path / "cache")[recording]
    assert not np.array_equal(before, after)


def test_each_sample_rate_is_decoded_of_its_own(tmp_path: Path, decoded: Counter[bytes]) -> None:
    recording = write(tmp_path, "1.wav", seed=1)
    for _ in range(2):
        for rate in (RATE, 8_000):
            found = decode_all([recording], sample_rate=rate, cache=tmp_path / "cache")
            assert found[recording].size == rate
    assert list(decoded.values()) == [2]


def test_files_are_read_again_only_when_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = [write(tmp_path, f"{seed}.wav", seed) for seed in range(3)]
    decode_all(recordings, sample_rate=RATE, cache=tmp_path / "cache")

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} is hashed again")

    monkeypatch.setattr("training.waveforms._sha256", refuse)
    again = decode_all(recordings, sample_rate=RATE, cache=tmp_path / "cache")
    assert readable(recordings, again) == recordings


def test_what_cannot_be_decoded_is_told_each_time_and_tried_once(
    tmp_path: Path, decoded: Counter[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = write(tmp_path, "1.wav", seed=1), write(tmp_path, "2.wav", seed=2)
    gone = write(tmp_path, "3.wav", seed=3)
    bad.path.write_bytes(b"no sound")
    gone.path.unlink()
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            waveforms = decode_all([good, bad, gone], sample_rate=RATE, cache=tmp_path / "cache")
        assert readable([good, bad, gone], waveforms) == [good]
        assert f"left out {bad.path}: the file is" in caplog.text
        assert f"left out {gone.path}: " in caplog.text
        caplog.clear()
    assert decoded[b"no sound"] == 1


def test_commands_that_run_at_once_share_a_cache(tmp_path: Path) -> None:
    recordings = [write(tmp_path / "sounds", f"{seed}.wav", seed) for seed in range(30)]
    code = (
        "import sys; from pathlib import Path; from training.corpora import LabeledRecording; "
        "from training.waveforms import decode_all; root = Path(sys.argv[1]); "
        "found = [LabeledRecording(p, 'x', 'x', 'x', 'x') for p in sorted(root.glob('*.wav'))]; "
        "waveforms = decode_all(found, sample_rate=16000, cache=Path(sys.argv[2])); "
        "assert all(waveforms[each].size == 16000 for each in found) and len(found) == 30"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "sounds"), str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    waveforms = decode_all(recordings, sample_rate=RATE, cache=tmp_path / "cache")
    for seed, recording in enumerate(recordings):
        expected = make("siren", seed, seconds=1.0)
        np.testing.assert_allclose(waveforms[recording], expected, atol=1e-4)


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    recording = write(tmp_path, "1.wav", seed=1)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError, match="cache"):
        decode_all([recording], sample_rate=RATE, cache=tmp_path / "cache")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(OSError, match=r"index\.sqlite: file is not a database"):
        decode_all([recording], sample_rate=RATE, cache=tmp_path / "folder")


def test_copies_are_told_by_their_samples(tmp_path: Path) -> None:
    """Whatever their names, tags and lossless formats."""
    samples = make("siren", 1, seconds=1.0)
    first, other = write(tmp_path, "a/1.wav", seed=1), write(tmp_path, "a/2.wav", seed=2)
    flac = LabeledRecording(tmp_path / "b" / "1.flac", "siren", "folders", "folders:b", "b")
    flac.path.parent.mkdir()
    flac.path.write_bytes(encode(np.round(samples * 32_767) / 32_768, container="FLAC"))
    wav = LabeledRecording(tmp_path / "c.wav", "siren", "folders", "folders:c", "c")
    wav.path.write_bytes(encode(np.round(samples * 32_767) / 32_768))
    recordings = [first, other, flac, wav]
    waveforms = decode_all(recordings, sample_rate=RATE, cache=tmp_path / "cache")
    assert [flac, wav] in group_copies(recordings, waveforms)
    assert all(other not in group for group in group_copies(recordings, waveforms))


@pytest.mark.parametrize("same_group", [True, False])
def test_copies_across_groups_are_refused(
    same_group: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recordings = [
        replace(
            write(tmp_path, f"{label}/{group}/{seed}.wav", seed),
            label=label,
            group=group,
            fold=group,
        )
        for seed, (label, group) in enumerate(
            [("siren", "anna"), ("siren", "ben"), ("dog", "anna"), ("dog", "ben")]
        )
    ]
    copied = recordings[0 if same_group else 1]
    copy = replace(copied, path=tmp_path / "siren/anna/copy.wav", group="anna", fold="anna")
    shutil.copy(copied.path, copy.path)
    caplog.set_level(logging.INFO)

    def prepared() -> TrainingData:
        return prepare(
            [*recordings, copy],
            {"folders": ["ben"]},
            sample_rate=RATE,
            cache=tmp_path / "cache",
        )

    if same_group:
        assert len(prepared().split.train) == 3
        assert "1 recordings are copies of others" in caplog.messages
    else:
        with pytest.raises(CorpusError, match=r"1\.wav and .*copy\.wav hold the same audio in dif"):
            prepared()


def test_recordings_of_which_none_can_be_decoded(tmp_path: Path) -> None:
    recordings = [
        LabeledRecording(tmp_path / f"{n}.wav", label, "folders", str(n), str(n))
        for n, label in enumerate(("a", "a", "b", "b"))
    ]
    for recording in recordings:
        recording.path.write_bytes(b"no sound")
    with pytest.raises(CorpusError, match=r"none of the 4 recordings could be decoded, such"):
        prepare(recordings, {"folders": ["0", "2"]}, sample_rate=RATE, cache=tmp_path / "cache")
