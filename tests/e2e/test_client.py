"""Both clients, and a real service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app import __version__
from earshot import AsyncClient, Client, EarshotError
from earshot.schemas import BatchLine, Explanation, SpectrogramList, StreamPrediction
from earshot.uploads import AudioFile
from tests.e2e.test_classify import post
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, encode, make

SIREN = encode(make("siren", 60_001))


@pytest.fixture
def earshot(client: ServerClient) -> Client:
    return Client(str(client.base_url))


def test_a_recording_is_a_path_bytes_or_a_file(
    client: ServerClient, earshot: Client, tmp_path: Path
) -> None:
    path = tmp_path / "siren.wav"
    path.write_bytes(SIREN)
    expected = post(client, SIREN, top_k="2").json()
    assert expected["label"] == "siren"
    with path.open("rb") as file:
        for recording in (path, str(path), SIREN, bytearray(SIREN), file):
            answer = earshot.classify("urban-sound", recording, top_k=2)
            assert answer.model_dump(exclude_defaults=True) == expected


def test_the_rest_of_the_service(client: ServerClient, earshot: Client) -> None:
    [model] = earshot.models()
    assert (model.task, model.name, model.window) == ("urban-sound", "hann", "hann")
    assert model.status == "loaded"
    assert model.metrics is not None
    assert model.metrics.overall.accuracy >= 0.9
    assert earshot.health().version == __version__
    assert earshot.ready()
    query = {"genre": "jazz", "track": 2, "window": "hamming", "width": 320, "height": 200}
    picture = earshot.genre_spectrogram("jazz", track=2, window="hamming", width=320, height=200)
    assert picture == client.get("/spectrogram", params=query).content
    assert picture.startswith(b"\x89PNG")
    jazz = next(genre for genre in earshot.genres(limit=1) if genre.genre == "jazz")
    assert (len(jazz.tracks), jazz.tracks[0].title) == (1, "corner swing")
    track = earshot.recording("jazz")
    assert track == Path("assets/genres/jazz/corner_swing.ogg").read_bytes()
    assert earshot.spectrogram(track, format="svg").startswith(b"<?xml")
    compared = SpectrogramList.model_validate_json(
        earshot.spectrogram(track, compare="windows", format="json", width=200)
    )
    assert len(compared.spectrograms) == 3
    with pytest.raises(EarshotError, match="Not Found"):
        earshot.reload()  # the service has no keys for administration


def test_a_checkpoint_is_chosen_by_name(earshot: Client) -> None:
    for choice in ({}, {"checkpoint": "hann"}, {"window": "hann"}):
        assert earshot.classify("urban-sound", SIREN, **choice).checkpoint.name == "hann"
    with pytest.raises(EarshotError, match="accepted: hann"):
        earshot.classify("urban-sound", SIREN, checkpoint="hamming")
    with pytest.raises(EarshotError, match="there are: urban-sound"):
        earshot.classify("machine-faults", SIREN)


def test_a_label_is_explained(client: ServerClient, earshot: Client) -> None:
    found = earshot.explain("urban-sound", SIREN, label="drilling")
    assert (found.label, found.clip.clip) == ("drilling", 1)
    assert len(found.map) == len(found.frequencies)
    query = {"label": "drilling", "format": "json"}
    expected = client.post("/explain/urban-sound", params=query, files={"file": SIREN})
    assert found == Explanation.model_validate_json(expected.content)
    picture = earshot.draw_explanation("urban-sound", SIREN, format="webp", width=200, height=150)
    assert picture[:4] + picture[8:12] == b"RIFFWEBP"


def batch(earshot: Client, files: list[AudioFile]) -> list[BatchLine]:
    return sorted(
        earshot.classify_batch("urban-sound", files, top_k=1), key=lambda line: line.index
    )


def test_each_file_of_a_batch_has_its_line(earshot: Client, tmp_path: Path) -> None:
    path = tmp_path / "drilling.wav"
    path.write_bytes(encode(make("drilling", 60_003)))
    with path.open("rb") as file:
        first, second, third, fourth = batch(earshot, [SIREN, b"no sound", path, file])
    assert [line.filename for line in (first, second, third, fourth)] == ["0", "1", path.name, "3"]
    assert first.result == earshot.classify("urban-sound", SIREN, top_k=1)
    assert second.problem is not None
    assert second.problem.type == "/problems/unsupported-format"
    assert third.result is not None
    assert third.result == fourth.result
    assert third.result.label == "drilling"


def pcm(label: str, rate: int = RATE) -> bytes:
    """Six seconds and a bit."""
    samples = make(label, 60_004, seconds=6.1)
    return (samples[:: RATE // rate] * 32_767).astype("<i2").tobytes()


def test_live_sound_is_predicted_hop_by_hop(earshot: Client) -> None:
    for piece in (1_000, 10**6):
        sound = pcm("siren")
        pieces = [sound[start : start + piece] for start in range(0, len(sound), piece)]
        found = list(
            earshot.stream("urban-sound", pieces, sample_rate=RATE, hop_seconds=1.5, top_k=2)
        )
        assert [prediction.end for prediction in found] == [1.5, 3.0, 4.5, 6.0]
        assert found[-1].label == "siren"
        assert len(found[-1].ranked) == 2


def test_the_last_prediction_comes_through_a_resampler(earshot: Client) -> None:
    sound = pcm("siren", RATE // 2)[: RATE * 6]
    found = list(earshot.stream("urban-sound", [sound], sample_rate=RATE // 2, hop_seconds=2))
    assert [prediction.end for prediction in found] == [2, 4, 6]


def test_what_is_wrong_with_a_stream_is_raised(earshot: Client) -> None:
    def stream(task: str, sound: bytes, sample_rate: int = RATE) -> list[StreamPrediction]:
        return list(earshot.stream(task, [sound], sample_rate=sample_rate))

    with pytest.raises(EarshotError, match="there are: urban-sound"):
        stream("machine-faults", bytes(100))
    with pytest.raises(ValueError, match="101 bytes of PCM end in the middle of a 16-bit sample"):
        stream("urban-sound", bytes(101))
    with pytest.raises(EarshotError) as error:
        stream("urban-sound", bytes(100), sample_rate=12)
    assert (error.value.problem.status, error.value.problem.type) == (
        422,
        "/problems/invalid-parameter",
    )
    with pytest.raises(httpx.ConnectError):
        list(Client("http://127.0.0.1:1").stream("emotion", [], sample_rate=RATE))


def test_problems_are_raised(earshot: Client) -> None:
    with pytest.raises(EarshotError) as error:
        earshot.classify("urban-sound", SIREN[:20_000])
    problem = error.value.problem
    assert (problem.type, problem.status) == ("/problems/corrupt", 422)
    assert problem.title == "The file is damaged or not whole"
    assert "truncated" in problem.detail
    assert str(error.value) == f"{problem.title}: {problem.detail}"
    with pytest.raises(EarshotError, match="accepted: hann"):
        earshot.classify("urban-sound", SIREN, window="hamming")
    with pytest.raises(EarshotError, match="unknown genre 'polka'"):
        earshot.genre_spectrogram("polka")
    with pytest.raises(EarshotError, match="2000000 bytes"):
        earshot.classify("urban-sound", bytes(2_000_001))


def test_awaiting_gives_the_same(client: ServerClient, earshot: Client) -> None:
    sounds = [encode(make(label, 60_002), RATE, "FLAC") for label in ("drilling", "car_horn")]

    async def ask() -> None:
        async with AsyncClient(str(client.base_url)) as awaiting:
            answers = await asyncio.gather(*(awaiting.classify("urban-sound", s) for s in sounds))
            assert [answer.label for answer in answers] == ["drilling", "car_horn"]
            assert answers[0] == earshot.classify("urban-sound", sounds[0])
            assert await awaiting.models() == earshot.models()
            assert await awaiting.health() == earshot.health()
            assert await awaiting.ready()
            small = await awaiting.genre_spectrogram("rock", width=320, height=200)
            assert small == earshot.genre_spectrogram("rock", width=320, height=200)
            with pytest.raises(EarshotError, match="unknown genre 'polka'"):
                await awaiting.genre_spectrogram("polka")
            files = [sounds[0], b"no sound"]
            lines = [line async for line in awaiting.classify_batch("urban-sound", files, top_k=1)]
            assert sorted(lines, key=lambda line: line.index) == batch(earshot, files)

            async def microphone() -> AsyncIterator[bytes]:
                sound = pcm("siren")
                for start in range(0, len(sound), 20_000):
                    yield sound[start : start + 20_000]
                    await asyncio.sleep(0.001)

            for live in (microphone(), [pcm("siren")]):
                predictions = awaiting.stream(
                    "urban-sound", live, sample_rate=RATE, hop_seconds=1.5
                )
                found = [prediction async for prediction in predictions]
                assert [prediction.end for prediction in found] == [1.5, 3.0, 4.5, 6.0]
                assert found[-1].label == "siren"
            with pytest.raises(EarshotError, match="there are: urban-sound"):
                async for _ in awaiting.stream("machine-faults", [bytes(100)], sample_rate=RATE):
                    pass

    asyncio.run(ask())


def test_a_service_without_checkpoints_is_not_ready(tmp_path: Path) -> None:
    async def ask(address: str) -> bool:
        async with AsyncClient(address) as awaiting:
            return await awaiting.ready()

    with serve(models_dir=tmp_path) as client:
        address = str(client.base_url)
        assert not Client(address).ready()
        assert not asyncio.run(ask(address))
        assert Client(address).models() == []
