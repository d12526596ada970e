"""`GET /spectrogram` over a real socket."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serving import serve
from tests.sounds import encode, tone


def picture(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB")).astype(int)


def get(client: httpx.Client, **query: str | int | float) -> httpx.Response:
    return client.get("/spectrogram", params=query)


@pytest.mark.parametrize("genre", ["rock", "classical", "jazz", "hip-hop"])
@pytest.mark.parametrize("clip", [1, 2])
def test_every_genre_has_two_pictures(client: httpx.Client, genre: str, clip: int) -> None:
    pixels = picture(get(client, genre=genre, clip=clip))
    assert pixels.shape == (500, 1000, 3)
    assert pixels.std() > 30  # not blank


def test_size_colours_and_window_change_the_picture(client: httpx.Client) -> None:
    first = get(client, genre="jazz", width=640, height=320)
    assert picture(first).shape == (320, 640, 3)
    for change in ({"window": "rectangular"}, {"colour_map": "gray"}, {"dynamic_range_db": 40}):
        other = get(client, genre="jazz", width=640, height=320, **change)
        assert np.abs(picture(other) - picture(first)).mean() > 1
    gray = picture(get(client, genre="jazz", colour_map="gray"))
    assert np.ptp(gray, axis=2).max() == 0


def test_the_picture_is_kept_by_its_etag(client: httpx.Client) -> None:
    response = get(client, genre="rock")
    assert response.headers["cache-control"] == "public, max-age=3600"
    etag = response.headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(
            "/spectrogram", params={"genre": "rock"}, headers={"If-None-Match": sent}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    other = client.get("/spectrogram", params={"genre": "jazz"}, headers={"If-None-Match": etag})
    assert other.status_code == 200
    assert get(client, genre="rock").content == response.content


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({}, "the query parameter genre is required"),
        ({"genre": "polka"}, "unknown genre 'polka'; accepted: classical, hip-hop, jazz, rock"),
        ({"genre": "../.."}, "unknown genre '../..'; accepted: classical, hip-hop, jazz, rock"),
        ({"genre": "jazz", "clip": 3}, "jazz has the clips 1 to 2, got 3"),
        ({"genre": "jazz", "width": 9}, "width: Input should be greater than or equal to 200"),
        ({"genre": "jazz", "window": "flat"}, "'hann', 'hamming' or 'rectangular', got 'flat'"),
        ({"genre": "jazz", "colour_map": "jet"}, "'magma', 'inferno', 'viridis'"),
    ],
)
def test_bad_parameters_say_what_is_accepted(
    client: httpx.Client, query: dict[str, str | int], detail: str
) -> None:
    response = get(client, **query)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert detail in response.json()["detail"]


def test_ones_own_library_and_a_tone_where_it_belongs(tmp_path: Path) -> None:
    """A tone is one bright line; an octave higher it stands an octave's height higher."""
    for name, hertz in (("a-low", 500), ("b-high", 1000), ("c-higher", 2000)):
        path = tmp_path / "drone" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(tone(hertz, seconds=2, rate=44_100), 44_100))
    (tmp_path / "drone" / "notes.txt").write_text("no recording")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.wav").write_bytes(b"no sound")
    with serve(genres_dir=tmp_path, models_dir=tmp_path) as client:
        rows = []
        for clip in (1, 2, 3):
            pixels = picture(get(client, genre="drone", clip=clip, colour_map="gray"))
            column = pixels[50:440, 400, 0]
            rows.append(int(column.argmax()))
        assert rows[0] - rows[1] == pytest.approx(rows[1] - rows[2], abs=2)
        assert rows[0] - rows[1] > 30
        assert "1 to 3" in get(client, genre="drone", clip=4).json()["detail"]
        assert get(client, genre="broken").status_code == 415
        # A recording that was changed is drawn anew.
        first = get(client, genre="drone").content
        (tmp_path / "drone" / "a-low.wav").write_bytes(encode(tone(3000, 2, 44_100), 44_100))
        assert get(client, genre="drone").content != first
