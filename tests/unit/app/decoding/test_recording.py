"""Decoding: every format against the same recording as WAV, and every way to be wrong."""

import contextlib
import io

import av
import numpy as np
import pytest
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.decoding import errors
from app.decoding.errors import UnsupportedAudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import Recording, RecordingReader
from tests.support.encoders import encode_av
from tests.support.sounds import encode, make, tone

RATE = 48_000


def read(data: bytes, sample_rate: int = RATE) -> Recording:
    return RecordingReader(AudioLimits(max_seconds=10)).read(data, sample_rate=sample_rate)


def stereo() -> NDArray[np.float32]:
    """A sweep on the left, a tone on the right; both fade, so that nothing clicks."""
    sweep = soxr.resample(make("siren", seed=5, seconds=2.5), 16_000, RATE)
    fade = np.minimum(1, np.minimum(np.arange(sweep.size), np.arange(sweep.size)[::-1]) / 4800)
    right = tone(1500, seconds=2.5, rate=RATE)
    return (np.stack([sweep, right], axis=1) * fade[:, None]).astype(np.float32)


STEREO = stereo()
MONO = STEREO.mean(axis=1)

LOSSLESS = {
    "wav 16 bit": (encode(STEREO, RATE, "WAV", "PCM_16"), "wav", 2**-15),
    "wav 24 bit": (encode(STEREO, RATE, "WAV", "PCM_24"), "wav", 2**-23),
    "wav 32 bit": (encode(STEREO, RATE, "WAV", "PCM_32"), "wav", 2**-23),
    "wav 8 bit": (encode(STEREO, RATE, "WAV", "PCM_U8"), "wav", 2**-7),
    "wav float": (encode(STEREO, RATE, "WAV", "FLOAT"), "wav", 1e-7),
    "wav double": (encode(STEREO, RATE, "WAV", "DOUBLE"), "wav", 1e-7),
    "wav extensible": (encode(STEREO, RATE, "WAVEX", "PCM_16"), "wav", 2**-15),
    "flac": (encode(STEREO, RATE, "FLAC", "PCM_16"), "flac", 2**-15),
    "aiff": (encode(STEREO, RATE, "AIFF", "PCM_16"), "aiff", 2**-15),
    "flac in ogg": (encode_av(STEREO, RATE, "ogg", "flac"), "ogg", 2**-15),
    "alac": (encode_av(STEREO, RATE, "ipod", "alac"), "mp4", 2**-15),
}
LOSSY = {
    "ogg vorbis": (encode(STEREO, RATE, "OGG", "VORBIS"), "ogg"),
    "ogg opus": (encode(STEREO, RATE, "OGG", "OPUS"), "ogg"),
    "mp3": (encode(STEREO, RATE, "MP3"), "mp3"),
    "m4a": (encode_av(STEREO, RATE, "ipod", "aac"), "mp4"),
    "mp4": (encode_av(STEREO, RATE, "mp4", "aac"), "mp4"),
    "aac": (encode_av(STEREO, RATE, "adts", "aac"), "aac"),
    "webm opus": (encode_av(STEREO, RATE, "webm", "libopus"), "webm"),
}
# An AAC encoder begins 1024 samples early. Files can say so, but the writer used here does not.
AAC_DELAY = 1024
ALL = {name: entry[0] for name, entry in (LOSSLESS | LOSSY).items()}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_samples_that_went_in(name: str) -> None:
    data, container, step = LOSSLESS[name]
    recording = read(data)
    assert (recording.metadata.format, recording.metadata.channels) == (container, 2)
    assert recording.metadata.sample_rate == RATE
    assert recording.seconds == 2.5
    np.testing.assert_allclose(recording.samples, MONO, atol=1.01 * step)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_sound_like_the_wav(name: str) -> None:
    """Aligned with the WAV and at its level: what differs is 15 dB below what is the same."""
    data, container = LOSSY[name]
    recording = read(data)
    assert (recording.metadata.format, recording.metadata.channels) == (container, 2)
    assert recording.metadata.sample_rate == RATE
    assert recording.seconds == pytest.approx(2.5, abs=0.06)
    lag = best_lag(recording.samples, MONO)
    assert lag == (AAC_DELAY if name in ("aac", "m4a", "mp4") else 0)
    heard = recording.samples[lag : lag + MONO.size]
    difference = heard - MONO[: heard.size]
    assert np.mean(difference**2) < np.mean(MONO**2) * 10**-1.5


@pytest.mark.parametrize("container", ["ipod", "mp4"])
def test_what_the_encoder_padded_is_left_out_where_the_file_says_so(container: str) -> None:
    recording = read(encode_av(STEREO, RATE, container, "aac", pts=0))
    assert (recording.metadata.seconds, recording.seconds) == (2.5, 2.5)
    assert best_lag(recording.samples, MONO) == 0


def best_lag(heard: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    size = 1 << 18
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(expected, size).conj(), size)
    lag = int(correlation.argmax())
    return lag if lag < size // 2 else lag - size


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_is_resampled_as_soxr_does_in_one_go(rate: int) -> None:
    samples = tone(440, seconds=3.0, rate=rate)
    recording = read(encode(samples, rate, "WAV", "FLOAT"), sample_rate=16_000)
    expected = soxr.resample(samples, rate, 16_000, quality="HQ")
    assert recording.samples.size == 48_000
    np.testing.assert_allclose(recording.samples, expected[:48_000], atol=1e-4)
    assert recording.metadata.sample_rate == rate


@given(channels=st.integers(1, 8), frames=st.integers(16, 4000))
@settings(max_examples=25)
def test_channels_are_averaged(channels: int, frames: int) -> None:
    samples = np.random.default_rng(frames).uniform(-1, 1, (frames, channels)).astype(np.float32)
    recording = read(encode(samples, RATE, "WAV", "FLOAT"))
    assert recording.metadata.channels == channels
    np.testing.assert_allclose(recording.samples, samples.mean(axis=1), atol=1e-6)


def test_long_recordings_are_read_whole() -> None:
    """Longer than one block of the decoder."""
    samples = np.random.default_rng(0).uniform(-1, 1, 9 * RATE).astype(np.float32)
    np.testing.assert_allclose(
        read(encode(samples, RATE, "WAV", "FLOAT")).samples, samples, atol=1e-6
    )


def test_a_wav_from_a_pipe_with_no_length_is_read() -> None:
    data = bytearray(encode(MONO, RATE, "WAV", "PCM_16"))
    size = data.index(b"data") + 4
    data[size : size + 4] = data[4:8] = b"\xff\xff\xff\xff"
    assert read(bytes(data)).seconds == 2.5


def test_an_mp3_without_a_length_is_read_whole() -> None:
    """libsndfile would guess its length, and stop there or call it truncated."""
    silence_and_sound = np.concatenate([np.zeros_like(STEREO), STEREO])
    data = encode_av(silence_and_sound, RATE, "mp3", "libmp3lame", {"write_xing": "0"})
    recording = read(data)
    assert (recording.metadata.format, recording.metadata.seconds) == ("mp3", None)
    assert recording.seconds == pytest.approx(5, abs=0.06)
    assert np.abs(recording.samples[-RATE * 2 :]).max() > 0.3


def test_a_flac_from_a_pipe_with_no_length_is_read() -> None:
    data = bytearray(encode(MONO, RATE, "FLAC", "PCM_16"))
    data[21] &= 0xF0  # the 36 bits of the number of samples: RFC 9639, section 8.2
    data[22:26] = bytes(4)
    recording = read(bytes(data))
    assert (recording.metadata.seconds, recording.seconds) == (None, 2.5)
    np.testing.assert_allclose(recording.samples, MONO, atol=2**-15)


def test_a_few_samples_are_enough() -> None:
    assert read(encode(tone(4000, seconds=0.05)), sample_rate=16_000).samples.size == 800


# What is left of a cut raw AAC is a whole file: it declares no length.
@pytest.mark.parametrize("name", [name for name in ALL if name != "aac"])
@pytest.mark.parametrize("share", [0.35, 0.6, 0.9])
def test_a_truncated_file_is_an_error(name: str, share: float) -> None:
    data = ALL[name]
    with pytest.raises(errors.CorruptAudioError):
        read(data[: int(len(data) * share)])


@pytest.mark.parametrize("name", ALL)
@example(seed=420)  # an AAC frame of channels without a place
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_damaged_bytes_give_sound_or_a_clear_error(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = np.frombuffer(ALL[name], np.uint8).copy()
    data[rng.integers(data.size, size=40)] = rng.integers(256, size=40)
    with contextlib.suppress(errors.AudioError):  # any other error fails the test
        assert np.isfinite(read(data.tobytes()).samples).all()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", errors.EmptyAudioError, "0 bytes"),
        (b"To be, or not to be, that is the question." * 50, errors.UnsupportedAudioError, "WebM"),
        (bytes(5000), errors.UnsupportedAudioError, "send WAV, FLAC"),
        (encode(MONO[:0], RATE), errors.EmptyAudioError, "zero samples"),
        (encode(np.zeros(RATE, np.float32), RATE), errors.SilentAudioError, "-80 dBFS"),
        (encode(np.full(RATE, 0.5, np.float32), RATE), errors.SilentAudioError, "silent"),
        (
            encode(np.float32([0, np.nan, 0.5]), RATE, "WAV", "FLOAT"),
            errors.InvalidSamplesError,
            "NaN",
        ),
        (
            encode(np.float32([0, np.inf, 0.5]), RATE, "WAV", "FLOAT"),
            errors.InvalidSamplesError,
            "infinite",
        ),
        (
            encode(np.float32([0, 1e30, 0.5]), RATE, "WAV", "FLOAT"),
            errors.InvalidSamplesError,
            "within",
        ),
        (encode(tone(5, 11.0, 8000), 8000), errors.AudioTooLongError, "longer than the 10 s"),
        (encode_av(np.tile(STEREO, (5, 1)), RATE, "mp4", "aac"), errors.AudioTooLongError, "10 s"),
    ],
    # Not the bytes of the files, which pytest would make its names of.
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
def test_what_is_wrong_is_said(data: bytes, error: type[errors.AudioError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data)


def test_a_playlist_reads_no_other_file(tmp_path) -> None:
    """FFmpeg follows HLS playlists and concat scripts to any path, unless it is kept from it."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encode(MONO, RATE))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    script = f"ffconcat version 1.0\nfile '{secret}'\n"
    for data in (playlist, script):
        with pytest.raises(errors.UnsupportedAudioError):
            read(data.encode())


@pytest.mark.parametrize("container", ["avi", "nut"])
def test_other_demuxers_of_ffmpeg_never_see_an_upload(container: str) -> None:
    """The codec would be accepted, the container is not on the list."""
    data = encode_av(STEREO, RATE, container, "libmp3lame")
    with pytest.raises(errors.UnsupportedAudioError, match="in a format that is accepted"):
        read(data)


def test_other_codecs_of_ffmpeg_never_see_an_upload() -> None:
    data = encode_av(STEREO, RATE, "matroska", "ac3")
    with pytest.raises(errors.UnsupportedAudioError, match="codec ac3 is not accepted"):
        read(data)


def test_other_codecs_are_not_even_opened_to_probe_them() -> None:
    with av.logging.Capture(local=False) as said:
        previous = av.logging.get_level()
        av.logging.set_level(av.logging.VERBOSE)
        try:
            with pytest.raises(errors.UnsupportedAudioError):
                read(encode_av(STEREO, RATE, "matroska", "ac3"))
        finally:
            av.logging.set_level(previous)
    assert any("not on whitelist" in message for _, _, message in said)


def test_a_film_without_sound_is_empty() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    with pytest.raises(errors.EmptyAudioError, match="no sound track"):
        read(file.getvalue())


def test_channels_and_rates_are_bounded() -> None:
    many = np.tile(tone(440, seconds=0.1)[:, None], 33)
    with pytest.raises(UnsupportedAudioError, match="33 channels; at most 32 are accepted"):
        read(encode(many))
    assert read(encode(many[:, :32])).metadata.channels == 32
    slow = encode(tone(100, rate=3_999), 3_999)
    with pytest.raises(UnsupportedAudioError, match="3999 Hz; 4000 to 768000 Hz are accepted"):
        read(slow)
    reader = RecordingReader(
        AudioLimits(max_channels=1, min_sample_rate=3_999, max_sample_rate=8_000)
    )
    assert reader.read(slow, sample_rate=16_000).metadata.sample_rate == 3_999
    with pytest.raises(UnsupportedAudioError, match="16000 Hz; 3999 to 8000 Hz"):
        reader.read(encode(tone(440)), sample_rate=16_000)
