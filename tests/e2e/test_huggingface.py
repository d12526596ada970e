"""`POST /hf/{task}`, asked by Hugging Face's own clients over a real socket."""

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from huggingface_hub import AsyncInferenceClient, AudioClassificationOutputElement, InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.e2e.test_classify import post, problem
from tests.support.serving import ServerClient
from tests.support.sounds import RATE, encode, make

SIREN = encode(make("siren", 70_001))
URBAN = "/hf/urban-sound"

Ranked = list[AudioClassificationOutputElement]


def address(client: httpx.Client, path: str = URBAN) -> str:
    return str(client.base_url.join(path))


def expected(client: httpx.Client, count: int) -> list[tuple[str, float]]:
    ranked = post(client, SIREN, top_k=str(count)).json()["ranked"]
    return [(entry["label"], entry["probability"]) for entry in ranked]


def pairs(ranked: Ranked) -> list[tuple[str, float]]:
    return [(entry.label, entry.score) for entry in ranked]


def test_bytes_come_without_a_content_type(client: ServerClient) -> None:
    ranked = InferenceClient().audio_classification(SIREN, model=address(client))
    assert ranked[0].label == "siren"
    assert ranked[0].score > 0.5
    assert pairs(ranked) == expected(client, 5)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "no_suffix"])
def test_a_path_comes_with_the_content_type_of_its_name(
    client: ServerClient, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    container = {"a.flac": "FLAC", "a.ogg": "OGG", "a.mp3": "MP3"}.get(name, "WAV")
    path.write_bytes(encode(make("siren", 70_001), RATE, container))
    ranked = InferenceClient().audio_classification(path, model=address(client))
    assert (len(ranked), ranked[0].label) == (5, "siren")


def test_parameters_come_in_json(client: ServerClient) -> None:
    ranked = InferenceClient(model=address(client)).audio_classification(
        SIREN, top_k=2, function_to_apply="softmax"
    )
    assert pairs(ranked) == expected(client, 2)


def test_the_async_client_is_answered_too(client: ServerClient) -> None:
    async def ask() -> Ranked:
        async with AsyncInferenceClient(model=address(client)) as asynchronous:
            return await asynchronous.audio_classification(SIREN, top_k=1)

    assert pairs(asyncio.run(ask())) == expected(client, 1)


def test_errors_reach_the_client(client: ServerClient) -> None:
    ask = InferenceClient().audio_classification
    with pytest.raises(HfHubHTTPError, match="should be 'softmax'") as error:
        ask(SIREN, model=address(client), function_to_apply="none")
    assert error.value.response.status_code == 422
    with pytest.raises(HfHubHTTPError) as error:
        ask(b"a poem about sirens\n" * 99, model=address(client))
    assert error.value.response.json()["type"] == "/problems/unsupported-format"
    with pytest.raises(HfHubHTTPError) as error:
        ask(SIREN, model=address(client, "/hf/urban-sound?window=hamming"))
    assert error.value.response.json()["type"] == "/problems/invalid-parameter"


BAD_QUESTIONS: dict[str, tuple[Mapping[str, object], str]] = {
    "no recording": ({"parameters": {}}, "the body parameter inputs is required"),
    "not base64": ({"inputs": "UklGR*"}, "inputs: should be a recording in base64"),
    "no text": ({"inputs": 5}, "inputs: should be a recording in base64"),
    "top_k": (
        {"inputs": "", "parameters": {"top_k": 0}},
        "parameters.top_k: Input should be greater than or equal to 1",
    ),
}


@pytest.mark.parametrize("name", BAD_QUESTIONS)
def test_a_bad_question_is_a_problem(client: ServerClient, name: str) -> None:
    question, detail = BAD_QUESTIONS[name]
    assert problem(client.post(URBAN, json=question), 422, "invalid-parameter") == detail


def test_what_is_no_json_is_not_repeated(client: ServerClient) -> None:
    response = client.post(
        URBAN, content=b"x" * 100_000, headers={"content-type": "application/json"}
    )
    assert len(problem(response, 422, "invalid-parameter")) < 200


def test_the_limit_holds_for_the_recording_in_json(client: ServerClient) -> None:
    def ask(size: int) -> httpx.Response:
        return client.post(URBAN, json={"inputs": base64.b64encode(bytes(size)).decode()})

    problem(ask(2_000_000), 415, "unsupported-format")
    assert "2000000 bytes" in problem(ask(2_000_001), 413, "file-too-large")
    problem(ask(3_000_000), 413, "file-too-large")
    problem(client.post(URBAN, content=bytes(2_000_001)), 413, "file-too-large")


def test_an_unknown_task_is_not_found(client: ServerClient) -> None:
    problem(client.post("/hf/whales", content=SIREN), 404, "unknown-task")


def test_unknown_fields_are_named(client: ServerClient) -> None:
    inputs = base64.b64encode(SIREN).decode()
    response = client.post(URBAN, json={"inputs": inputs, "parameters": {"topk": 1}})
    detail = problem(response, 422, "invalid-parameter")
    assert detail == "parameters: unknown field 'topk'; did you mean top_k?"
    response = client.post(URBAN, json={"inputs": inputs, "options": {}})
    detail = problem(response, 422, "invalid-parameter")
    assert detail == "request: unknown field 'options'; accepted: inputs, parameters"
