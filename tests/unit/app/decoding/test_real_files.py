"""Recordings as people really send them: what ffmpeg, browsers and players play is heard."""

import struct

import numpy as np
import pytest
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.decoding import errors
from app.decoding.downmix import Downmixer
from app.decoding.limits import AudioLimits
from app.decoding.recording import MonoStream
from app.decoding.source import TOLERATED_SECONDS
from app.decoding.timeline import MAX_UNDECODABLE
from tests.support import joined_files
from tests.support.encoders import encode_av
from tests.support.sounds import encode, make

RATE = 48_000
READ_RATE = 16_000
SECONDS = 5.0
MONO = soxr.resample(make("siren", 3, SECONDS), READ_RATE, RATE)[:, None]
STEREO = np.repeat(MONO, 2, axis=1)


def read(data: bytes) -> MonoStream:
    """Read a file to its end, with its samples."""
    stream = MonoStream(data, READ_RATE, AudioLimits(max_seconds=60), keep_samples=True)
    for _ in stream.blocks():
        pass
    return stream


def encode_with(
    codec: str, container: str = "matroska", samples: NDArray[np.float32] = MONO, rate: int = RATE
) -> bytes:
    """Encode with time stamps from 0 on. PyAV comes without an encoder of Vorbis."""
    if codec == "vorbis":
        ogg = encode(samples, rate, "OGG", "VORBIS")
        return ogg if container == "ogg" else joined_files.remux(ogg, container)
    return encode_av(samples, rate, container, codec, pts=0)


def loud_seconds(stream: MonoStream, step: float = 0.25) -> list[float]:
    """The beginnings of the quarters of a second in which something is heard."""
    size = round(step * READ_RATE)
    samples = stream.samples
    return [
        start / READ_RATE
        for start in range(0, len(samples) - size // 2, size)
        if np.abs(samples[start : start + size]).max() > 0.05
    ]


def quarters(*spans: tuple[float, float]) -> list[float]:
    return [float(each) for span in spans for each in np.arange(*span, 0.25)]


STAMPED = {
    "webm": ("webm", "libopus"),
    "matroska": ("matroska", "vorbis"),
    "m4a": ("ipod", "aac"),
    "mp4": ("mp4", "flac"),
    "ogg opus": ("ogg", "libopus"),
    "ogg vorbis": ("ogg", "vorbis"),
}


@pytest.mark.parametrize("name", STAMPED)
def test_a_gap_in_the_time_stamps_is_silence_of_its_length(name: str) -> None:
    container, codec = STAMPED[name]
    whole = encode_with(codec)
    gap = joined_files.remux(whole, container, keep=lambda seconds: not 2.1 < seconds < 3.2)
    stream = read(gap)
    assert stream.seconds == pytest.approx(SECONDS, abs=0.05)
    heard = loud_seconds(stream)
    # Ogg stamps pages, of about a second: the gap is somewhere within two of them.
    assert set(quarters((0, 1), (4.25, 5))) <= set(heard)
    assert len(heard) == pytest.approx(4 * (SECONDS - 1.1), abs=1.5)
    (warning,) = stream.warnings
    lost = float(warning.split()[0])
    assert lost == pytest.approx(1.1, abs=0.06)
    assert "missing between the time stamps, first at" in warning


@pytest.mark.parametrize("name", STAMPED)
def test_a_late_start_shifts_what_is_heard(name: str) -> None:
    container, codec = STAMPED[name]
    late = joined_files.remux(encode_with(codec), container, offset=3)
    stream = read(late)
    assert stream.seconds == pytest.approx(SECONDS + 3, abs=0.05)
    assert loud_seconds(stream) == quarters((3, 8))


def test_a_part_of_a_long_stream_begins_with_its_first_sound() -> None:
    late = joined_files.remux(encode_av(MONO, RATE, "webm", "libopus", pts=0), "webm", offset=7200)
    assert read(late).seconds == pytest.approx(SECONDS, abs=0.05)


@pytest.mark.parametrize(
    ("lost", "heard", "seconds"),
    [
        (range(2), quarters((1, 5)), SECONDS),
        (range(2, 4), quarters((0, 1), (2, 5)), SECONDS),
        (range(8, 12), quarters((0, 4)), 4.0),
    ],
    ids=["first", "middle", "last"],
)
def test_lost_fragments_of_an_mp4_are_silence(
    lost: range, heard: list[float], seconds: float
) -> None:
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"}
    mp4 = joined_files.remux(encode_with("aac"), "mp4", options=options)
    stream = read(joined_files.without_fragments(mp4, lost))
    assert stream.seconds == pytest.approx(seconds, abs=0.1)
    found = loud_seconds(stream)
    assert set(heard) <= set(found)
    assert len(found) <= len(heard) + 2


def test_a_track_that_is_shorter_than_its_film_is_whole() -> None:
    film = joined_files.with_tracks([MONO, MONO[: 2 * RATE]], RATE, ["ac3", "aac"])
    assert read(film).seconds == pytest.approx(2, abs=0.06)


@given(
    spans=st.lists(st.tuples(st.integers(0, 240), st.integers(1, 40)), max_size=3),
    offset=st.integers(0, 100),
)
@example(spans=[(210, 40)], offset=0)
@settings(max_examples=25, deadline=None)
def test_whatever_is_lost_what_is_left_keeps_its_time(
    spans: list[tuple[int, int]], offset: int
) -> None:
    """Of packets of 20 ms. A start that is hardly late is an encoder's delay."""
    lost = {first + i for first, count in spans for i in range(count)}
    data = joined_files.remux(
        OPUS, "matroska", keep=lambda t: round(t * 50) not in lost, offset=offset / 50
    )
    stream = read(data)
    # The last packet has what the encoder holds back: it begins where the sound ends.
    kept = [i for i in range(round(SECONDS * 50) + 1) if i not in lost]
    start = (kept[0] + offset) / 50
    delay = start if start <= TOLERATED_SECONDS else 0.0
    assert stream.seconds == pytest.approx((kept[-1] + 1 + offset) / 50 - delay, abs=0.05)


OPUS = encode_av(MONO, RATE, "webm", "libopus", pts=0)


# --- Joined files


def test_links_of_any_kind_are_read_to_the_end() -> None:
    later = soxr.resample(STEREO, RATE, 32_000)
    joined = {
        "opus": encode_av(MONO, RATE, "ogg", "libopus", pts=0)
        + encode_av(STEREO, RATE, "ogg", "libopus", pts=0),
        "vorbis": encode_with("vorbis", "ogg") + encode_with("vorbis", "ogg", later, 32_000),
        "flac in ogg": encode_av(MONO, RATE, "ogg", "flac") * 2,
        "vorbis and opus": encode_with("vorbis", "ogg")
        + encode_av(MONO, RATE, "ogg", "libopus", pts=0),
        "flac": encode(MONO, RATE, "FLAC") + encode(later, 32_000, "FLAC"),
        "webm": OPUS * 2,
        "live webm": encode_av(MONO, RATE, "webm", "libopus", {"live": "1"}, pts=0) * 2,
        "mp3": encode(MONO, RATE, "MP3") + encode(later, 32_000, "MP3"),
        "mp3 with tags": joined_files.id3v2()
        + encode(MONO, RATE, "MP3")
        + joined_files.ID3V1
        + joined_files.id3v2(b"APIC" + bytes(range(256)) * 100)
        + encode(MONO, RATE, "MP3")
        + joined_files.apev2(bytes(9_000)),
        "mp3 behind an ape tag": encode(MONO, RATE, "MP3")
        + joined_files.apev2(np.random.default_rng(0).bytes(9_000))
        + encode(MONO, RATE, "MP3"),
        "aac": encode_av(MONO, RATE, "adts", "aac") * 2,
        "aac with tags": (joined_files.id3v2() + encode_av(MONO, RATE, "adts", "aac")) * 2,
    }
    for name, data in joined.items():
        stream = read(data)
        assert stream.seconds == pytest.approx(2 * SECONDS, abs=0.15), name
        assert len(loud_seconds(stream)) >= 39, name
        assert stream.metadata.seconds is None, name
        assert stream.warnings == (), name


def test_what_is_no_mp3_around_one_is_passed_over() -> None:
    garbage = np.random.default_rng(5).integers(0, 0xFF, 3_000, np.uint8).tobytes()
    tags = joined_files.apev2(bytes(99)) + joined_files.ID3V1
    stream = read(garbage + joined_files.id3v2() + encode(MONO, RATE, "MP3") + tags)
    assert stream.seconds == pytest.approx(SECONDS, abs=0.03)
    assert stream.warnings == ()


def test_an_ogg_that_was_captured_from_a_stream_is_whole() -> None:
    """Its last page counts from the beginning of the stream, of which most is not here."""
    data = joined_files.remux(OPUS, "ogg", keep=lambda seconds: seconds > 2)
    assert read(data).seconds == pytest.approx(SECONDS, abs=0.05)


def test_a_chain_is_refused_where_a_link_is_cut() -> None:
    flac = encode(MONO, RATE, "FLAC")
    with pytest.raises(errors.CorruptAudioError, match=r"declares 5\.00 s"):
        read(flac + flac[: len(flac) // 2])


# --- Tags, padding and bad packets

TAILS = {
    "a line end": b"\r\n",
    "apev1": joined_files.apev1(),
    "apev2 with a cover": joined_files.apev2(np.random.default_rng(1).bytes(30_000)),
    "lyrics3": joined_files.lyrics3(),
    "id3v2.4": joined_files.id3v2(footer=True),
    "zeros": bytes(5_000),
    "a page": b"<html>" + b"not found " * 300,
    "id3v1": joined_files.ID3V1,
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", ["mp3", "mp3 without a length", "aac", "flac", "ogg"])
def test_what_follows_the_last_frame_is_passed_over(name: str, tail: str) -> None:
    whole = {
        "mp3": lambda: encode(MONO, RATE, "MP3"),
        "mp3 without a length": lambda: encode_av(
            MONO, RATE, "mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}
        ),
        "aac": lambda: encode_av(MONO, RATE, "adts", "aac"),
        "flac": lambda: encode(MONO, RATE, "FLAC"),
        "ogg": lambda: encode_with("vorbis", "ogg"),
    }[name]()
    plain, tagged = read(whole), read(whole + TAILS[tail])
    assert tagged.seconds == pytest.approx(plain.seconds, abs=0.03)
    assert tagged.warnings == ()


@pytest.mark.parametrize("container", ["WAV", "AIFF", "FLAC", "OGG"])
def test_a_tag_in_front_is_passed_over(container: str) -> None:
    data = joined_files.id3v2(bytes(300)) + encode(MONO, RATE, container)
    assert read(data).seconds == SECONDS


M4A = encode_av(MONO, RATE, "ipod", "aac", pts=0)
MP3 = encode(MONO, RATE, "MP3")


def with_noise(data: bytes, places: list[tuple[int, int]]) -> bytes:
    noisy = bytearray(data)
    for place, size in places:
        noisy[place : place + size] = b"\xa5" * size
    return bytes(noisy)


def test_a_packet_that_cannot_be_decoded_costs_its_own_time() -> None:
    offsets = joined_files.packet_offsets(M4A)
    at = len(offsets) // 2
    stream = read(with_noise(M4A, offsets[at : at + 1]))
    assert stream.seconds == read(M4A).seconds == SECONDS
    (warning,) = stream.warnings
    # A packet has 1024 samples, and the first is before the beginning.
    assert warning == (
        f"{1024 / RATE:.3f} s could not be decoded, first at {(at - 1) * 1024 / RATE:.3f} s, "
        "and are silence"
    )


def test_a_hole_in_an_mp3_costs_the_frames_that_it_hits() -> None:
    middle = len(MP3) // 2
    stream = read(MP3[:middle] + bytes(300) + MP3[middle + 300 :])
    assert stream.seconds == pytest.approx(SECONDS, abs=0.03)
    (warning,) = stream.warnings
    assert "could not be decoded, first at 2." in warning
    assert 0.02 < float(warning.split()[0]) < 0.1


def test_an_aac_that_ends_within_a_frame_is_heard() -> None:
    whole = encode_av(MONO, RATE, "adts", "aac")
    stream = read(whole[:-60])
    assert stream.seconds == pytest.approx(SECONDS, abs=0.06)
    assert "could not be decoded, first at 4.9" in stream.warnings[0]


def test_too_many_bad_packets_are_damage_at_the_right_second() -> None:
    offsets = joined_files.packet_offsets(M4A)
    at, bad = len(offsets) // 2, round(len(offsets) * 1.5 * MAX_UNDECODABLE)
    with pytest.raises(errors.CorruptAudioError, match=r"damaged at 2\.\d+ s: 0\.7\d+ s of its"):
        read(with_noise(M4A, offsets[at : at + bad]))


def test_a_flac_frame_with_a_wrong_checksum_is_silence_and_no_noise() -> None:
    flac = encode(MONO, RATE, "FLAC")
    middle = len(flac) // 2
    stream = read(flac[:middle] + bytes(8) + flac[middle + 8 :])
    assert stream.seconds == pytest.approx(SECONDS, abs=0.01)
    assert len(stream.warnings) == 1


# --- WAV without sizes, and other codecs in known containers

PCM = (MONO[:, 0] * 32_767).astype(np.int16)
SIZE = 2 * len(PCM)
UNKNOWN = 0xFFFF_FFFF


@pytest.mark.parametrize(
    "told",
    [
        {"data_size": 0},
        {"data_size": 0, "riff_size": 0},
        {"data_size": 0, "riff_size": 36},
        {"data_size": 0, "magic": b"RIFX"},
        {"data_size": UNKNOWN, "riff_size": UNKNOWN},
        {"data_size": SIZE + 44},
        {"magic": b"RF64", "data_size": UNKNOWN, "riff_size": UNKNOWN, "ds64": (SIZE + 72, SIZE)},
        {"magic": b"RF64", "data_size": UNKNOWN, "riff_size": UNKNOWN, "ds64": (0, 0)},
        {"magic": b"RF64", "data_size": 0, "riff_size": UNKNOWN, "ds64": (0, 0)},
        {"magic": b"BW64", "data_size": UNKNOWN, "riff_size": UNKNOWN, "ds64": (0, 0)},
        {"magic": b"BW64", "data_size": UNKNOWN, "ds64": (2**64 - 1, 2**64 - 1)},
        {"magic": b"BW64", "ds64": (SIZE + 72, SIZE)},
    ],
)
def test_a_wav_whose_length_is_not_told_is_read_to_its_end(told: dict[str, object]) -> None:
    stream = read(joined_files.wav(PCM, RATE, **told))  # type: ignore[arg-type]
    assert (stream.seconds, stream.metadata.format) == (SECONDS, "wav")
    expected = soxr.resample(PCM / np.float32(32_768), RATE, READ_RATE, quality="HQ")
    np.testing.assert_allclose(stream.samples, expected, atol=1e-4)


def test_an_aiff_whose_length_is_not_told_is_read_to_its_end() -> None:
    """As ffmpeg writes one to a pipe."""
    aiff = bytearray(encode(MONO, RATE, "AIFF"))
    common, sound = aiff.index(b"COMM"), aiff.index(b"SSND")
    aiff[4:8] = aiff[common + 10 : common + 14] = aiff[sound + 4 : sound + 8] = bytes(4)
    assert read(bytes(aiff)).seconds == SECONDS


def test_a_wav_with_nothing_but_tags_behind_its_header_is_empty() -> None:
    tags = b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(errors.EmptyAudioError, match="zero samples"):
        read(joined_files.wav(PCM[:0], RATE) + tags)


@pytest.mark.parametrize("magic", [b"RIFF", b"RIFX", b"RF64", b"BW64"])
def test_a_wav_that_is_cut_is_an_error(magic: bytes) -> None:
    ds64 = (SIZE + 72, SIZE) if magic in (b"RF64", b"BW64") else None
    data = joined_files.wav(PCM, RATE, magic=magic, ds64=ds64, data_size=UNKNOWN if ds64 else None)
    with pytest.raises(errors.CorruptAudioError, match=f"declares {SIZE} bytes"):
        read(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("codec", "name"),
    [(0x2000, "ac3"), (0x28F, "g722"), (0xA109, "speex"), (0x161, "wmav2"), (0x270, "atrac3")],
)
def test_a_codec_that_is_not_accepted_is_named(codec: int, name: str) -> None:
    with pytest.raises(errors.UnsupportedAudioError, match=f"the codec {name} is not accepted"):
        read(joined_files.wav(PCM, RATE, codec=codec))


@pytest.mark.parametrize(
    ("container", "codec", "format_"),
    [
        ("mov", "pcm_s16le", "mp4"),
        ("mov", "pcm_s24be", "mp4"),
        ("matroska", "pcm_s24le", "webm"),
        ("matroska", "pcm_f32le", "webm"),
        ("matroska", "libmp3lame", "webm"),
        ("wav", "libmp3lame", "wav"),
    ],
)
def test_an_accepted_codec_is_heard_in_any_container(
    container: str, codec: str, format_: str
) -> None:
    data = encode_av(MONO, RATE, container, codec, pts=0)
    stream = read(data)
    assert stream.metadata.format == format_
    assert stream.seconds == pytest.approx(SECONDS, abs=0.06)
    assert loud_seconds(stream)[:20] == quarters((0, 5))


# --- Several tracks


def test_the_first_accepted_track_is_heard_and_told() -> None:
    quiet = np.zeros_like(MONO)
    cases = {
        "silent first": (joined_files.with_tracks([quiet, MONO], RATE, ["libopus"] * 2), 2),
        "other codec first": (joined_files.with_tracks([MONO, MONO], RATE, ["ac3", "aac"]), 2),
        "the default": (
            joined_files.with_tracks([MONO, 0.5 * MONO], RATE, ["aac"] * 2, default=1),
            2,
        ),
        "a silent default": (
            joined_files.with_tracks([MONO, quiet], RATE, ["aac"] * 2, default=1),
            1,
        ),
        "two alike": (joined_files.with_tracks([MONO, MONO], RATE, ["aac"] * 2), 1),
    }
    for name, (data, track) in cases.items():
        stream = read(data)
        assert len(loud_seconds(stream)) >= 20, name
        assert stream.metadata.track == track, name
    assert read(M4A).metadata.track is None


def test_a_file_of_which_no_track_is_accepted_names_them() -> None:
    data = joined_files.with_tracks([MONO, MONO], RATE, ["ac3", "eac3"])
    with pytest.raises(errors.UnsupportedAudioError, match="the codec ac3 and eac3"):
        read(data)


def test_silent_tracks_are_silent() -> None:
    quiet = np.zeros_like(MONO)
    with pytest.raises(errors.SilentAudioError):
        _ = read(joined_files.with_tracks([quiet, quiet], RATE, ["aac"] * 2)).samples


# --- Channels


def mixed(*channels: NDArray[np.float32]) -> NDArray[np.float32]:
    return read(encode(np.stack(channels, axis=1), RATE, "WAV", "FLOAT")).samples


def test_channels_that_cancel_are_heard() -> None:
    sound = MONO[:, 0]
    noise = np.random.default_rng(2).normal(0, 1e-3, sound.size).astype(np.float32)
    expected = soxr.resample(sound, RATE, READ_RATE, quality="HQ")
    for other in (-sound, noise - sound, -0.9 * sound, 0.2 - sound):
        np.testing.assert_allclose(mixed(sound, other), expected, atol=0.02)


def test_one_channel_of_many_is_heard() -> None:
    """The mean of 32 channels, of which one has sound at -60 dBFS, is 30 dB below it: silence."""
    sound = 2e-3 * MONO[:, 0]
    others = [np.zeros_like(sound)] * 31
    expected = soxr.resample(sound, RATE, READ_RATE, quality="HQ")
    np.testing.assert_allclose(mixed(*others, sound), expected, atol=1e-6)


@given(gain=st.floats(-1, 1), balance=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_mix_is_never_far_below_its_channels(gain: float, balance: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, noise = 0.3 * rng.standard_normal((2, RATE // 4)).astype(np.float32)
    right = np.float32(gain) * left + np.float32(balance) * noise
    channels = np.mean([left**2, right**2])
    assert np.mean(Downmixer().mix(np.stack([left, right], axis=1)) ** 2) >= 0.09 * channels / 2
