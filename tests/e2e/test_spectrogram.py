"""`GET /spectrogram` over a real socket."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.audio.stft import WINDOWS
from tests.e2e.test_classify import BAD_RECORDINGS, problem
from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make, tone

GENRES = ["classical", "hip-hop", "jazz", "rock"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerClient]:
    """A client of a server without checkpoints: pictures need none."""
    store = tmp_path_factory.mktemp("no-checkpoints")
    with serve(models_dir=store, max_upload_bytes=2_000_000, max_render_seconds=60) as client:
        yield client


def picture(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB")).astype(int)


def numbers(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    return np.load(io.BytesIO(response.content))


def post(client: httpx.Client, data: bytes, **query: str | int | float) -> httpx.Response:
    return client.post("/spectrogram", files={"file": ("clip.wav", data)}, params=query)


def get(client: httpx.Client, **query: str | int | float) -> httpx.Response:
    return client.get("/spectrogram", params=query)


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("track", [1, 2])
def test_every_genre_has_two_pictures(client: httpx.Client, genre: str, track: int) -> None:
    pixels = picture(get(client, genre=genre, track=track))
    assert pixels.shape == (500, 1000, 3)
    assert pixels.std() > 30  # not blank


def test_size_colours_and_window_change_the_picture(client: httpx.Client) -> None:
    first = get(client, genre="jazz", width=640, height=320)
    assert picture(first).shape == (320, 640, 3)
    for change in ({"window": "rectangular"}, {"colour_map": "gray"}, {"top_db": 40}):
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
        ({"genre": "jazz", "track": 3}, "jazz has the tracks 1 to 2, got 3"),
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
        for track in (1, 2, 3):
            pixels = picture(get(client, genre="drone", track=track, colour_map="gray"))
            column = pixels[50:440, 400, 0]
            rows.append(int(column.argmax()))
        assert rows[0] - rows[1] == pytest.approx(rows[1] - rows[2], abs=2)
        assert rows[0] - rows[1] > 30
        assert "1 to 3" in get(client, genre="drone", track=4).json()["detail"]
        assert get(client, genre="broken").status_code == 415
        # A recording that was changed is drawn anew.
        first = get(client, genre="drone").content
        (tmp_path / "drone" / "a-low.wav").write_bytes(encode(tone(3000, 2, 44_100), 44_100))
        assert get(client, genre="drone").content != first


@pytest.mark.parametrize("format_", ["png", "webp", "svg"])
def test_picture_formats(client: httpx.Client, format_: str) -> None:
    response = get(client, genre="jazz", format=format_, width=400, height=200)
    if format_ == "svg":
        assert response.headers["content-type"] == "image/svg+xml"
        assert response.content.startswith(b"<?xml")
    else:
        assert response.headers["content-type"] == f"image/{format_}"
        image = Image.open(io.BytesIO(response.content))
        assert (image.format, image.size) == (format_.upper(), (400, 200))


def test_an_etag_outlives_the_process(client: httpx.Client, tmp_path: Path) -> None:
    queries = [{"genre": "rock", "format": name} for name in ("png", "svg", "webp", "json", "npy")]
    with serve(models_dir=tmp_path) as other:
        for query in queries:
            first, second = (each.get("/spectrogram", params=query) for each in (client, other))
            assert first.headers["etag"] == second.headers["etag"]
    assert len({client.get("/spectrogram", params=query).headers["etag"] for query in queries}) == 5


def test_json_and_npy_are_the_same_numbers(client: httpx.Client) -> None:
    """A tone is shown: 0 dB at its frequency, for as long as it sounds."""
    samples = np.concatenate([np.zeros(22_050, np.float32), tone(2000, 2.0, 22_050)])
    [page] = numbers(post(client, encode(samples, 22_050), format="npy", top_db=60))
    frequencies, times, db = page[1:, 0], page[0, 1:], page[1:, 1:]
    assert np.isnan(page[0, 0])
    assert db.shape == (1025, 1 + samples.size // 512)
    assert (db.min(), db.max()) == (-60, 0)
    assert frequencies[db.max(axis=1).argmax()] == pytest.approx(2000, abs=6)
    loud = times[db.max(axis=0) > -1]
    # Half a window to either side of the edge.
    assert (loud.min(), loud.max()) == pytest.approx((1, 3), abs=0.06)
    response = post(client, encode(samples, 22_050), format="json", top_db=60)
    assert response.headers["content-type"] == "application/json"
    [spectrogram] = response.json()["spectrograms"]
    assert spectrogram["title"] == "hann window"
    np.testing.assert_allclose(spectrogram["times"], times, atol=1e-4)
    np.testing.assert_allclose(spectrogram["frequencies"], frequencies, atol=1e-3)
    np.testing.assert_allclose(spectrogram["db"], db, atol=0.0051)


def test_windows_side_by_side(client: httpx.Client) -> None:
    """A tone between two bins leaks: the rectangular window's is the widest skirt."""
    sound = encode(tone(93.5 * 22_050 / 2048, 2.0, 22_050), 22_050)
    pages = numbers(post(client, sound, compare="windows", format="npy", top_db=120))
    assert len(pages) == len(WINDOWS)
    skirts = [page[1:, 40][np.abs(page[1:, 0] - 1007) > 200].mean() for page in pages]
    hann, hamming, rectangular = skirts
    assert hann + 10 < hamming < rectangular - 10
    for window, page in zip(WINDOWS, pages, strict=True):
        [alone] = numbers(post(client, sound, window=window, format="npy", top_db=120))
        np.testing.assert_array_equal(alone, page)
    assert picture(post(client, sound, compare="windows")).shape == (500, 1000, 3)
    titles = [
        each["title"]
        for each in get(client, genre="jazz", compare="windows", format="json").json()[
            "spectrograms"
        ]
    ]
    assert titles == [f"corner swing ({window})" for window in WINDOWS]


def test_genres_side_by_side(client: httpx.Client) -> None:
    response = get(client, compare="genres", format="json", track=2)
    shown = response.json()["spectrograms"]
    assert [each["title"] for each in shown] == GENRES
    for each in shown:
        alone = get(client, genre=each["title"], track=2, format="json", width=250).json()
        assert alone["spectrograms"][0]["db"] == each["db"]
    assert picture(get(client, compare="genres", track=2)).std() > 30


def test_recordings_of_different_lengths_are_filled_up_with_nan(tmp_path: Path) -> None:
    for genre, seconds in (("long", 2.0), ("short", 1.0)):
        (tmp_path / genre).mkdir()
        (tmp_path / genre / "a.wav").write_bytes(encode(tone(500, seconds, 22_050), 22_050))
    with serve(genres_dir=tmp_path, models_dir=tmp_path) as client:
        long, short = numbers(get(client, compare="genres", format="npy"))
        assert long.shape == (1026, 1 + 87)
        assert np.isfinite(short[1:, :45]).all()
        assert np.isnan(short[:, 45:]).all()
        assert picture(get(client, compare="genres")).shape == (500, 1000, 3)


@pytest.mark.parametrize("axis", ["linear", "log", "mel"])
def test_frequency_axes(client: httpx.Client, axis: str) -> None:
    """Where tones of 1, 2 and 4 kHz stand: evenly spaced on a logarithmic axis alone."""
    rows = []
    for hertz in (1000, 2000, 4000):
        sound = encode(tone(hertz, 2.0, 22_050), 22_050)
        pixels = picture(post(client, sound, axis=axis, colour_map="gray"))
        rows.append(int(pixels[50:440, 400, 0].argmax()))
    first, second = rows[0] - rows[1], rows[1] - rows[2]
    # On Slaney's scale 1, 2 and 4 kHz are 15, 25.08 and 35.16 mels, the logarithmic part.
    expected = {"linear": 2.0, "log": 1.0, "mel": 1.0}[axis]
    assert second / first == pytest.approx(expected, abs=0.1)
    share = first / 425
    top = {"linear": 1000 / 11_025, "log": np.log(2) / np.log(11_025 / 30), "mel": 10.08 / 49.9}
    assert share == pytest.approx(top[axis], abs=0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory from /proc")
def test_a_long_recording_costs_no_more_than_it_shows(tmp_path: Path) -> None:
    long = encode(np.tile(make("siren", 3), 295), 16_000, "FLAC")
    with serve(models_dir=tmp_path) as client:
        picture(post(client, encode(make("siren", 3)), compare="windows"))
        before = client.peak_memory()
        [page] = numbers(post(client, long, format="npy"))
        assert page.shape[1] <= 1001
        assert page[0, -1] == pytest.approx(590, abs=1)
        # Its samples have 52 MB, twice while they are put together; its spectrogram would have 104.
        assert client.peak_memory() - before < 180_000_000


def test_the_shortest_recording_has_a_picture(client: httpx.Client) -> None:
    pixels = picture(post(client, encode(tone(1000, 0.01))))
    assert pixels[100:400, 200:700].std() > 10


@pytest.mark.parametrize("name", BAD_RECORDINGS)
def test_a_bad_recording_is_a_problem_of_its_own(client: httpx.Client, name: str) -> None:
    data, status, kind, detail = BAD_RECORDINGS[name]
    assert detail in problem(post(client, data), status, kind)


def test_bad_parameters_of_an_upload(client: httpx.Client) -> None:
    detail = problem(post(client, b"", compare="genres"), 422, "invalid-parameter")
    assert detail == "compare: Input should be 'windows', got 'genres'"
    detail = problem(post(client, b"", axis="bark"), 422, "invalid-parameter")
    assert detail == "axis: Input should be 'log', 'linear' or 'mel', got 'bark'"
    response = client.post("/spectrogram", content=b"sound")
    assert "curl -F file=@clip.wav" in problem(response, 415, "unsupported-media-type")
