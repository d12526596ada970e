"""`earshot.client` and a real service."""

import asyncio
from pathlib import Path

import pytest

from app import __version__
from earshot import AsyncClient, Client, EarshotError
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
    assert (model.task, model.window, model.status) == ("urban-sound", "hann", "loaded")
    assert model.metrics is not None
    assert model.metrics.overall.accuracy >= 0.9
    assert earshot.health().version == __version__
    assert earshot.ready()
    query = {"genre": "jazz", "clip": 2, "window": "hamming", "width": 320, "height": 200}
    picture = earshot.spectrogram("jazz", clip=2, window="hamming", width=320, height=200)
    assert picture == client.get("/spectrogram", params=query).content
    assert picture.startswith(b"\x89PNG")


def test_problems_are_raised(earshot: Client) -> None:
    with pytest.raises(EarshotError) as error:
        earshot.classify("urban-sound", SIREN[:20_000])
    problem = error.value.problem
    assert (problem.type, problem.status) == ("/problems/corrupt", 422)
    assert problem.title == "The file is damaged or not whole"
    assert "truncated" in problem.detail
    assert str(error.value) == f"{problem.title}: {problem.detail}"
    with pytest.raises(EarshotError, match="it has: hann"):
        earshot.classify("urban-sound", SIREN, window="hamming")
    with pytest.raises(EarshotError, match="unknown genre 'polka'"):
        earshot.spectrogram("polka")
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
            small = await awaiting.spectrogram("rock", width=320, height=200)
            assert small == earshot.spectrogram("rock", width=320, height=200)
            with pytest.raises(EarshotError, match="unknown genre 'polka'"):
                await awaiting.spectrogram("polka")

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
