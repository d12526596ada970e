"""Health, the list of models, and the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

import httpx

from app import __version__
from app.api.problem_types import PROBLEM_TYPES
from earshot.schemas import Problem


def test_health(client: httpx.Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert client.get(path).json() == {"status": "ok", "version": __version__}


def test_models_have_the_metrics_of_their_cards(client: httpx.Client) -> None:
    [model] = client.get("/models").json()["models"]
    assert (model["task"], model["name"], model["status"]) == ("urban-sound", "hann", "loaded")
    assert model["clip_seconds"] == 4.0
    assert len(model["labels"]) == 10
    assert model["metrics"]["overall"]["accuracy"] >= 0.9
    assert "Held out of all training" in model["metrics"]["protocol"]


def test_an_unknown_path_and_method_are_problems(client: httpx.Client) -> None:
    for response, status in ((client.get("/nothing"), 404), (client.get("/classify/emotion"), 405)):
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
    assert client.get("/classify/emotion").headers["allow"] == "POST"
    assert client.delete("/spectrogram").headers["allow"] == "GET, HEAD, POST"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_openapi_document_is_whole(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    found = set(references(document))
    assert "#/components/schemas/Problem" in found
    for reference in found:
        value = document
        for key in reference.removeprefix("#/").split("/"):
            value = value[key]
    classify = document["paths"]["/classify/{task}"]["post"]
    body = classify["requestBody"]["content"]
    assert body["multipart/form-data"]["schema"]["required"] == ["file"]
    assert set(body) == {"multipart/form-data", "application/octet-stream"}
    huggingface = document["paths"]["/hf/{task}"]["post"]
    both = {"application/octet-stream", "application/json"}
    assert set(huggingface["requestBody"]["content"]) == both
    explain = document["paths"]["/explain/{task}"]["post"]
    for route in (classify, huggingface, explain):
        refused = {"400", "403", "404", "408", "413", "415", "421", "422", "500", "503"}
        assert {"200", *refused} == set(route["responses"])
    assert {"application/json", "text/event-stream"} == set(classify["responses"]["200"]["content"])
    pictures = {"image/*", "application/json"}
    assert explain["requestBody"] == classify["requestBody"]
    assert set(explain["responses"]["200"]["content"]) == pictures
    spectrogram = document["paths"]["/spectrogram"]
    drawn = {"200", "304", "403", "415", "421", "422", "500", "503"}
    assert drawn == set(spectrogram["get"]["responses"])
    expected = {"200", "400", "403", "408", "413", "415", "421", "422", "500", "503"}
    assert expected == set(spectrogram["post"]["responses"])
    for method in spectrogram.values():
        content = method["responses"]["200"]["content"]
        assert set(content) == pictures | {"application/octet-stream"}
    assert "HTTPValidationError" not in str(document["paths"])
    assert client.get("/docs").status_code == 200


def test_every_problem_has_an_example(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    shown_types = set()
    for path, operations in paths.items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) < 400:
                    continue
                problem = response["content"]["application/problem+json"]
                assert problem["examples"], path
                for name, example in problem["examples"].items():
                    shown = Problem.model_validate(example["value"])
                    assert shown.status == int(status)
                    assert shown.type in ("about:blank", "/problems/invalid-parameter") or (
                        shown.type == f"/problems/{name}"
                    )
                    shown_types.add(shown.type.removeprefix("/problems/"))
    # Neither keys nor limits are in use here; see `test_access`. Files of a batch are not refused
    # with a status. What is no request at all reaches no route.
    elsewhere = {
        "malformed-request",
        "upgrade-required",
        "head-too-large",
        "unauthorized",
        "forbidden",
        "too-many-requests",
        "checkpoint-refused",
        "not-found",
    }
    assert shown_types == set(PROBLEM_TYPES) - elsewhere - {"too-many-files"} | {"about:blank"}


def test_every_route_stands_once(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "/models" in paths
    assert not any(path.startswith("/v1") for path in paths)
    assert client.get("/v1/models").status_code == 404
