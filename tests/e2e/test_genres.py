"""`GET /genres` and `GET /recording` over a real socket."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.test_classify import problem
from tests.support.encoders import encode_av
from tests.support.serving import serve
from tests.support.sounds import encode, tone

LIBRARY = Path(__file__).parents[2] / "assets" / "genres"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serve(models_dir=tmp_path_factory.mktemp("no-checkpoints")) as client:
        yield client


def genres(client: httpx.Client, **query: int) -> dict[str, dict]:
    response = client.get("/genres", params=query)
    assert response.status_code == 200, response.text
    return {each["genre"]: each for each in response.json()["genres"]}


def test_the_library_that_is_shipped(client: httpx.Client) -> None:
    found = genres(client)
    assert list(found) == ["classical", "hip-hop", "jazz", "rock"]
    for genre in found.values():
        assert genre["track_count"] == 2
        assert [each["track"] for each in genre["tracks"]] == [1, 2]
        for each in genre["tracks"]:
            assert each["seconds"] == 12.0
            assert len(each["features"]["mfcc"]) == 13
    assert found["jazz"]["tracks"][0]["title"] == "corner swing"
    # Distorted guitars and drums are brighter and noisier than a piano and a quartet.
    rock, classical = found["rock"]["mean"], found["classical"]["mean"]
    assert rock["centroid"] > 1.5 * classical["centroid"]
    assert rock["flatness"] > 10 * classical["flatness"]
    assert rock["contrast"] < classical["contrast"]
    # As it was composed: dusty stairwell has 90 beats a minute.
    assert found["hip-hop"]["tracks"][0]["features"]["tempo"] == pytest.approx(90, abs=2)


def test_the_mean_is_over_the_recordings(client: httpx.Client) -> None:
    for genre in genres(client).values():
        first, second = (each["features"] for each in genre["tracks"])
        for name, mean in genre["mean"].items():
            np.testing.assert_allclose(
                mean, (np.array(first[name]) + second[name]) / 2, rtol=1e-3, atol=1e-4
            )


def test_only_so_many_are_measured(client: httpx.Client) -> None:
    for genre in genres(client, limit=1).values():
        assert (genre["track_count"], len(genre["tracks"])) == (2, 1)
        assert genre["mean"]["centroid"] == genre["tracks"][0]["features"]["centroid"]
    detail = problem(client.get("/genres", params={"limit": 0}), 422, "invalid-parameter")
    assert "limit: Input should be greater than or equal to 1" in detail


def test_ones_own_library(tmp_path: Path) -> None:
    """A recording that is damaged is told among the others; one that changed is measured anew."""
    (tmp_path / "drone").mkdir()
    (tmp_path / "drone" / "a_tone.wav").write_bytes(encode(tone(1000, 3.0, 22_050), 22_050))
    (tmp_path / "drone" / "b.wav").write_bytes(b"no sound")
    with serve(genres_dir=tmp_path, models_dir=tmp_path) as client:
        drone = genres(client)["drone"]
        recording, broken = drone["tracks"]
        assert recording["title"] == "a tone"
        assert recording["features"]["rolloff"] == pytest.approx(1000, abs=22)
        assert recording["features"]["zero_crossing_rate"] == pytest.approx(2000, abs=2)
        assert drone["mean"] == recording["features"]
        assert "not sound in a format that is accepted" in broken["error"]
        assert "characteristics" not in broken
        (tmp_path / "drone" / "a_tone.wav").write_bytes(encode(tone(500, 3.0, 22_050), 22_050))
        again = genres(client)["drone"]["tracks"][0]
        assert again["features"]["zero_crossing_rate"] == pytest.approx(1000, abs=2)
        shutil.rmtree(tmp_path / "drone")
        assert genres(client) == {}


def test_the_library_can_be_heard(tmp_path: Path) -> None:
    files = {
        "drone/a_low.wav": encode(tone(100)),
        "drone/b_high.flac": encode(tone(900), container="FLAC"),
        "drone/notes.txt": b"no recording",
    }
    (tmp_path / "drone").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with serve(genres_dir=tmp_path, models_dir=tmp_path) as client:
        for track, name in enumerate(("drone/a_low.wav", "drone/b_high.flac"), start=1):
            response = client.get("/recording", params={"genre": "drone", "track": track})
            assert response.content == files[name]
            assert response.headers["content-type"].startswith("audio/")
        for asked, status, content in (
            ("0-3", 206, b"RIFF"),
            ("999999-", 416, None),
            ("x", 400, None),
        ):
            response = client.get(
                "/recording", params={"genre": "drone"}, headers={"Range": f"bytes={asked}"}
            )
            assert response.status_code == status
            if content is None:
                assert (
                    response.json()["detail"] == "the header Range names no part of the recording"
                )
                assert response.headers["content-type"] == "application/problem+json"
            else:
                assert response.content == content
            size = len(files["drone/a_low.wav"])
            expected = {206: f"bytes 0-3/{size}", 416: f"bytes */{size}"}.get(status)
            assert response.headers.get("content-range") == expected
        response = client.get("/recording", params={"genre": "drone", "track": 3})
        assert problem(response, 422, "invalid-parameter") == "drone has the tracks 1 to 2, got 3"
        response = client.get("/recording", params={"genre": ".."})
        detail = problem(response, 422, "invalid-parameter")
        assert detail == "unknown genre '..'; accepted: drone"


def test_a_gallery_of_odd_files(tmp_path: Path) -> None:
    """What is no recording is told among the others, keeps nobody waiting, and is not served."""
    gallery, sound = tmp_path / "gallery", encode(tone(1000, 2.0, 22_050), 22_050)
    secret = tmp_path / "secret.wav"
    secret.write_bytes(sound)
    jazz = gallery / "jazz"
    jazz.mkdir(parents=True)
    os.mkfifo(jazz / "a_pipe.wav")
    (jazz / "b_folder.wav").mkdir()
    (jazz / "c_link.wav").symlink_to(secret)
    (jazz / "d_nothing.wav").symlink_to(tmp_path / "nothing")
    with (jazz / "e_sparse.wav").open("wb") as file:
        file.write(sound)
        file.truncate(3_000_000_000)
    (jazz / "f_cash_$5_$.wav").write_bytes(sound)
    Path(os.fsdecode(os.fsencode(jazz) + b"/g_\xff\n.wav")).write_bytes(sound)
    (jazz / "h_film.m4a").write_bytes(
        encode_av(tone(1000, 2.0, 44_100)[:, None], 44_100, "mp4", "aac")
    )
    (gallery / "linked").symlink_to(jazz)
    (gallery / "no_genre.wav").write_bytes(sound)
    with serve(genres_dir=gallery, models_dir=tmp_path) as client:
        resident = client.peak_memory()
        found = genres(client)
        assert list(found) == ["jazz"]
        assert client.peak_memory() - resident < 200_000_000
        tracks = {each["title"]: each for each in found["jazz"]["tracks"]}
        assert list(tracks) == [
            *("a pipe", "b folder", "c link", "d nothing", "e sparse", "f cash $5 $"),
            *("g \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}", "h film"),
        ]
        bad, heard = list(tracks.values())[:5], list(tracks.values())[5:]
        for each in bad[:4]:
            assert each["error"] == "it is not a regular file"
        assert "it has 3000000000 bytes; at most 335544320 are read" in bad[4]["error"]
        for each in heard:
            assert each["features"]["rolloff"] == pytest.approx(1000, abs=44)
        for path in ("/recording", "/spectrogram"):
            for each in bad:
                query = {"genre": "jazz", "track": each["track"]}
                assert (
                    problem(client.get(path, params=query), 422, "corrupt")
                    == f"jazz, track {each['track']}: {each['error']}"
                )
            for each in heard:
                query = {"genre": "jazz", "track": each["track"]}
                assert client.get(path, params=query).status_code == 200
        assert client.get("/recording", params={"genre": "linked"}).status_code == 422
        # It is decoded where uploads are: the service itself has no FFmpeg.
        assert "libavcodec" not in Path(f"/proc/{client.process_id}/maps").read_text()


def test_more_genres_than_a_picture_has_room_for(tmp_path: Path) -> None:
    sound = encode(tone(1000, 0.2))
    for number in range(201):
        (tmp_path / f"{number:03}").mkdir()
        (tmp_path / f"{number:03}" / "one.wav").write_bytes(sound)
    with serve(genres_dir=tmp_path, models_dir=tmp_path) as client:
        for width, most in ((1000, 50), (3000, 150)):
            query = {"compare": "genres", "width": width}
            detail = problem(client.get("/spectrogram", params=query), 422, "invalid-parameter")
            assert f"{width} pixels have room for {most} genres, the gallery has 201" in detail
        assert len(genres(client, limit=1)) == 201


def test_a_recording_of_the_gallery_has_the_limits_of_uploads(tmp_path: Path) -> None:
    (tmp_path / "long").mkdir()
    (tmp_path / "long" / "one.flac").write_bytes(encode(tone(1000, 20.0), container="FLAC"))
    with serve(genres_dir=tmp_path, models_dir=tmp_path, max_render_seconds=10) as client:
        [track] = genres(client)["long"]["tracks"]
        assert track["error"] == "the recording is longer than the 10 s that are accepted"
        response = client.get("/spectrogram", params={"compare": "genres"})
        detail = problem(response, 422, "recording-too-long")
        assert detail.startswith("long, track 1: the recording is longer than the 10 s")
