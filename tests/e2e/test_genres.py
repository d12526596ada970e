"""`GET /genres` and `GET /recording` over a real socket."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.test_classify import problem
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
