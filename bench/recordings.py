"""What is sent: recordings in every format, and some that cannot be answered."""

from collections.abc import Iterator
from itertools import cycle

import numpy as np

from bench import clips
from bench.clients import Request, post

URBAN, EMOTION, PICTURE = "/classify/urban-sound", "/classify/emotion", "/spectrogram"
FORMATS = ("wav", "flac", "ogg", "mp3", "m4a")


def clip() -> Request:
    """The one that the bench send, as WAV."""
    return post(URBAN, clips.encode(clips.samples(), "wav"), kind="urban-sound wav")


def mix() -> Iterator[Request]:
    """Without end: every format to every task, one in ten of them bad, silent or a picture.

    A request's kind is `<task> <format>`; what cannot be answered is of the kind `bad ...`.
    """
    samples = clips.samples()
    files = {format_: clips.encode(samples, format_) for format_ in FORMATS}
    short = clips.encode(samples[: clips.SAMPLE_RATE], "wav")
    silence = clips.encode(np.zeros_like(samples), "wav")
    good = [
        post(path, files[format_], kind=f"{path.rpartition('/')[2]} {format_}")
        for format_ in FORMATS
        for path in (URBAN, EMOTION)
    ]
    rare = [
        post(URBAN, files["flac"][:20_000], kind="bad: cut short"),
        post(URBAN, b"no sound at all" * 100, kind="bad: no sound"),
        post(URBAN, silence, kind="urban-sound silence"),
        post(f"{PICTURE}?width=400&height=200", short, kind="spectrogram"),
        post(PICTURE, silence, kind="bad: picture of silence"),
        post(f"{URBAN}?window=square", short, kind="bad: parameter"),
    ]
    unusual = cycle(rare)
    while True:
        yield from good[:9]
        yield next(unusual)
        good.append(good.pop(0))
