"""The OpenAPI document, as far as makers of clients depend on it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.main import create_app
from earshot.client import Client

METHODS = {
    ("POST", "/classify/{task}"): "classify",
    ("POST", "/classify/{task}/batch"): "classify_batch",
    ("POST", "/embed/{task}"): "embed",
    ("POST", "/explain/{task}"): "explain",
    ("POST", "/spectrogram"): "spectrogram",
    ("GET", "/spectrogram"): "genre_spectrogram",
    ("GET", "/genres"): "genres",
    ("GET", "/recording"): "recording",
    ("GET", "/models"): "models",
    ("GET", "/healthz"): "health",
    ("GET", "/readyz"): "ready",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def inline_enums(node: Any) -> Iterator[list[str]]:
    if isinstance(node, dict):
        if "enum" in node:
            yield node["enum"]
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from inline_enums(child)


def test_operations_have_the_names_of_our_own_client(document: dict[str, Any]) -> None:
    found = {(method, path): each["operationId"] for method, path, each in operations(document)}
    assert {key: found[key] for key in METHODS} == METHODS
    assert all(hasattr(Client, name) for name in METHODS.values())
    assert set(found.values()) - set(METHODS.values()) == {"huggingface", "problem_type", "student"}


def test_summaries_read_like_a_menu(document: dict[str, Any]) -> None:
    summaries = [each["summary"] for _, _, each in operations(document)]
    assert len(set(summaries)) == len(summaries)
    for summary in summaries:
        assert re.fullmatch(r"[A-Z][A-Za-z' ]{5,38}\??", summary), summary
        assert " " in summary


def test_every_enum_is_a_component(document: dict[str, Any]) -> None:
    assert list(inline_enums(document["paths"])) == []
    schemas = document["components"]["schemas"]
    inline = [
        name for name, each in schemas.items() if list(inline_enums(each)) and "enum" not in each
    ]
    assert inline == []
    assert schemas["Reason"]["enum"] == ["silent", "too_short", "out_of_distribution", "no_voice"]
    reason = schemas["Segment"]["properties"]["reason"]["anyOf"]
    assert reason == [{"$ref": "#/components/schemas/Reason"}, {"type": "null"}]
    parameters = document["paths"]["/spectrogram"]["get"]["parameters"]
    [window] = [each for each in parameters if each["name"] == "window"]
    assert window["schema"]["$ref"] == "#/components/schemas/WindowName"
    assert window["schema"]["default"] == "hann"


def test_a_document_that_is_asked_for_again_is_the_same() -> None:
    app = create_app()
    first = str(app.openapi())
    assert str(app.openapi()) == first


def test_json_has_one_media_type(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        bodies = [operation.get("requestBody", {}), operation["responses"]["200"]]
        for content in (body.get("content", {}) for body in bodies):
            models = [kind for kind, each in content.items() if "$ref" in each.get("schema", {})]
            assert models in ([], ["application/json"]), path


def test_no_model_has_a_list_of_its_own_name(document: dict[str, Any]) -> None:
    """Both would be one variable in clients that openapi-python-client makes."""
    for name, schema in document["components"]["schemas"].items():
        variable = re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower()
        assert schema.get("properties", {}).get(variable, {}).get("type") != "array", name
