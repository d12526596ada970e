"""`earshot corrupt`: corrupt one file, to listen to it."""

from pathlib import Path

import soundfile

from app.decoding.errors import AudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from training.corruptions import BACKGROUND_KINDS, CorruptionKind
from training.corruptions.apply import corrupt
from training.corruptions.backgrounds import BackgroundError, CorruptionError, pool_of_folder

_READER = RecordingReader(AudioLimits(max_seconds=3600.0))
_ANY_RATE = 16_000
_SUFFIXES = (".wav", ".flac")


def corrupt_file(
    source: Path,
    target: Path,
    kind: CorruptionKind,
    severity: int,
    *,
    noise: Path | None,
    seed: int,
) -> None:
    """Write a corrupted copy of a recording: mono, 16 bits, at the rate of its file.

    Args:
        source: a recording in any format that the service accepts.
        target: a WAV or FLAC file.
        kind: of the corruption.
        severity: 1, 2 or 3.
        noise: a folder of recordings for the background, for the kinds that need one.
        seed: of everything random, together with the name of `source`.

    Raises:
        CorruptionError: the recording cannot be decoded, or not be corrupted as asked.
        OSError: a file cannot be read or written.
    """
    if target.suffix.lower() not in _SUFFIXES:
        raise CorruptionError(f"{target}: expected a name that ends in .wav or .flac")
    if kind in BACKGROUND_KINDS and noise is None:
        raise BackgroundError(f"--kind {kind} needs --noise, a folder of recordings")
    content = source.read_bytes()
    try:
        rate = _READER.read(content, sample_rate=_ANY_RATE).metadata.sample_rate
        samples = _READER.read(content, sample_rate=rate).samples
    except AudioError as error:
        raise CorruptionError(f"{source}: {error}") from error
    pool = pool_of_folder(noise, rate) if noise and kind in BACKGROUND_KINDS else None
    corrupted = corrupt(
        samples, rate, kind, severity, name=source.name, seed=seed, backgrounds=pool
    )
    try:
        soundfile.write(target, corrupted, rate, subtype="PCM_16")
    except soundfile.SoundFileError as error:
        raise OSError(f"cannot write {target}: {error}") from error
