"""`GET /genres` and `GET /recording` over a real socket."""

from pathlib import Path

from tests.serving import serve
from tests.sounds import encode, tone


def test_the_library_can_be_listed_and_heard(tmp_path: Path) -> None:
    files = {
        "drone/a_low.wav": encode(tone(100)),
        "drone/b_high.flac": encode(tone(900), container="FLAC"),
        "drone/notes.txt": b"no recording",
        "empty/notes.txt": b"no recording",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with serve(genres_dir=tmp_path, models_dir=tmp_path) as client:
        genres = client.get("/genres").json()
        assert genres == {"genres": [{"genre": "drone", "clips": ["a low", "b high"]}]}
        for clip, name in enumerate(("drone/a_low.wav", "drone/b_high.flac"), start=1):
            response = client.get("/recording", params={"genre": "drone", "clip": clip})
            assert response.content == files[name]
            assert response.headers["content-type"].startswith("audio/")
        for query, detail in (
            ({"genre": "drone", "clip": 3}, "drone has the clips 1 to 2, got 3"),
            ({"genre": ".."}, "unknown genre '..'; accepted: drone"),
        ):
            response = client.get("/recording", params=query)
            assert response.status_code == 422
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["detail"] == detail
